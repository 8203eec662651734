import { classesOf, type Piece } from './ansi';
import { marked } from './search';

/** One row of a log, with its colours and what was searched for. */
export function LogLine({ pieces, query }: { pieces: Piece[]; query: string }): React.JSX.Element {
  return (
    <>
      {marked(pieces, query).map((piece, index) =>
        piece.hit ? (
          <mark key={index} className={classesOf(piece.style)}>
            {piece.text}
          </mark>
        ) : (
          <span key={index} className={classesOf(piece.style)}>
            {piece.text}
          </span>
        ),
      )}
      {'\u200b'}
    </>
  );
}
