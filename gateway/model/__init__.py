"""What things are: specification, states, events, records, outputs and the models on the wire. No I/O."""
