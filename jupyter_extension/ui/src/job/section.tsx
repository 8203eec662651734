import type { ReactNode } from 'react';

/** A part of the overview, under its title. */
export function Section(props: {
  title: string;
  wide?: boolean;
  children: ReactNode;
}): React.JSX.Element {
  return (
    <section className={`sg-job-section ${props.wide ? 'sg-wide' : ''}`} aria-label={props.title}>
      <h3>{props.title}</h3>
      {props.children}
    </section>
  );
}
