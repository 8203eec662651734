import { Button } from '@jupyterlab/ui-components';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef, useState } from 'react';

import type { OutputFile } from '../../api/models';
import { bytesText } from '../../components/bytes';
import { ErrorNotice } from '../../components/notice';
import { usePanel } from '../../panel';
import {
  endOf,
  linesOf,
  looksBinary,
  PIECE,
  readBefore,
  readHead,
  readNext,
  readTail,
  textOfWindow,
} from '../byte_window';
import { behind, useGrowth, useWindow, type HeldWindow } from '../use_window';
import { NoPreview } from './none';

/** Text, of which a bounded part is held: its beginning, and whatever a person asks for next. */
export default function TextPreview({
  file,
  unsure = false,
}: {
  file: OutputFile;
  /** The name says nothing: what does not look like text is not shown. */
  unsure?: boolean;
}): React.JSX.Element {
  const { trans } = usePanel();
  const held = useWindow(file);
  const [follow, setFollow] = useState(file.state !== 'final');
  const [wrap, setWrap] = useState(false);
  const { window, change } = held;
  useGrowth(file, () => {
    if (window.start === 0 && window.size <= PIECE) {
      change(read => readHead(read));
    } else if (follow) {
      change(readNext);
    }
  });
  const lines = useMemo(() => linesOf(textOfWindow(window)), [window]);
  if (unsure && held.loaded && looksBinary(window.bytes)) {
    return <NoPreview file={file} />;
  }
  return (
    <div className="sg-look-text">
      <div className="sg-look-bar" role="toolbar" aria-label={trans.__('Text')}>
        <Moves held={held} file={file} />
        <label>
          <input type="checkbox" checked={wrap} onChange={event => setWrap(event.target.checked)} />
          {trans.__('Wrap lines')}
        </label>
        {file.state !== 'final' && (
          <label>
            <input
              type="checkbox"
              checked={follow}
              onChange={event => setFollow(event.target.checked)}
            />
            {trans.__('Follow')}
          </label>
        )}
      </div>
      {held.error && <ErrorNotice error={held.error} />}
      {held.loaded && !held.error && window.size === 0 && (
        <p className="sg-look-empty">{trans.__('The file is empty.')}</p>
      )}
      <Lines lines={lines} wrap={wrap} atEnd={follow && file.state !== 'final'} label={file.path} />
    </div>
  );
}

/** Where one is in the file, and the ways to elsewhere. */
function Moves({ held, file }: { held: HeldWindow; file: OutputFile }): React.JSX.Element {
  const { trans } = usePanel();
  const { window, change, busy } = held;
  const rest = behind(window);
  const whole = window.start === 0 && rest === 0;
  return (
    <>
      <span className="sg-look-where" role="status">
        {!held.loaded
          ? trans.__('Loading…')
          : whole
            ? trans.__('whole file, %1', bytesText(window.size))
            : trans.__(
                '%1 to %2 of %3',
                bytesText(window.start),
                bytesText(endOf(window)),
                bytesText(window.size),
              )}
      </span>
      {!whole && held.loaded && (
        <>
          <Button
            small
            minimal
            disabled={busy || window.start === 0}
            onClick={() => change(read => readHead(read))}
          >
            {trans.__('Beginning')}
          </Button>
          <Button
            small
            minimal
            disabled={busy || window.start === 0}
            onClick={() => change(readBefore)}
          >
            {trans.__('Load before')}
          </Button>
          <Button small minimal disabled={busy || rest === 0} onClick={() => change(readNext)}>
            {trans.__('Load more')}
          </Button>
          <Button
            small
            minimal
            disabled={busy || rest === 0}
            onClick={() => change(read => readTail(read, Math.max(window.size, file.size)))}
          >
            {trans.__('End')}
          </Button>
        </>
      )}
    </>
  );
}

interface LinesProps {
  lines: string[];
  wrap: boolean;
  atEnd: boolean;
  label: string;
}

function Lines({ lines, wrap, atEnd, label }: LinesProps): React.JSX.Element {
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => frame.current,
    estimateSize: () => 17,
    overscan: 30,
  });
  useEffect(() => {
    virtual.measure();
  }, [wrap, virtual]);
  useEffect(() => {
    if (atEnd && lines.length > 0) {
      virtual.scrollToIndex(lines.length - 1, { align: 'end' });
    }
  }, [atEnd, lines, virtual]);
  return (
    <div ref={frame} className="sg-look-lines" tabIndex={0} role="region" aria-label={label}>
      <div style={{ height: virtual.getTotalSize(), position: 'relative' }}>
        {virtual.getVirtualItems().map(item => (
          <div
            key={item.index}
            ref={wrap ? virtual.measureElement : undefined}
            data-index={item.index}
            className={wrap ? 'sg-look-line sg-mod-wrap' : 'sg-look-line'}
            style={{ transform: `translateY(${item.start}px)` }}
          >
            {lines[item.index]}
          </div>
        ))}
      </div>
    </div>
  );
}
