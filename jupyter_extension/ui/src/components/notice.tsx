import type { ReactNode } from 'react';

import { Problem } from '../api/problems';

/** Something that a person should read: what happened, why, and what to do. */
export function Notice({
  kind,
  children,
}: {
  kind: 'error' | 'warning' | 'info';
  children: ReactNode;
}): React.JSX.Element {
  return (
    <div className={`sg-notice sg-notice-${kind}`} role={kind === 'error' ? 'alert' : 'status'}>
      {children}
    </div>
  );
}

/** An error with its fields and its hint. */
export function ErrorNotice({ error }: { error: Error }): React.JSX.Element {
  const problem = error instanceof Problem ? error : null;
  return (
    <Notice kind="error">
      <div>{error.message}</div>
      {problem && problem.errors.length > 0 && (
        <ul>
          {problem.errors.map((item, index) => (
            <li key={index}>
              <code>{item.pointer}</code> {item.detail}
            </li>
          ))}
        </ul>
      )}
      {problem?.hint && <div className="sg-notice-hint">{problem.hint}</div>}
    </Notice>
  );
}
