"""Outputs: stores, filters, passes of the gateway's own rclone, manifests."""
