import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from 'react';

import { ENDED, type Job } from '../../api/models';
import { ErrorNotice } from '../../components/notice';
import { useShown } from '../../components/shown';
import { usePanel } from '../../panel';
import { useValue } from '../../state/observable';
import { LogLine } from './line';
import type { LogReader, LogStream } from './reader';
import { rowsWith } from './search';
import { Search } from './search_bar';
import { DownloadLog } from './download';
import { Above } from './above';

const LINE = 18;
/** Nearer to the end than this counts as the end, in pixels. */
const NEAR = 30;

interface LogViewProps {
  job: Job;
  stream: LogStream;
  reader: LogReader;
  choice: ReactNode;
}

/** A log: only the rows in sight are drawn. */
export function LogView({ job, stream, reader, choice }: LogViewProps): React.JSX.Element {
  const { trans } = usePanel();
  const shown = useShown();
  const version = useValue(reader.version);
  const error = useValue(reader.error);
  const loaded = useValue(reader.loaded);
  const [follow, setFollow] = useState(true);
  const [wrap, setWrap] = useState(false);
  const [query, setQuery] = useState('');
  const [current, setCurrent] = useState(0);
  const place = useRef<HTMLDivElement>(null);
  const top = useRef(0);
  const { buffer } = reader;
  const rows = useVirtualizer({
    count: buffer.length,
    getScrollElement: () => place.current,
    estimateSize: () => LINE,
    overscan: 20,
  });
  const hits = useMemo(
    () => rowsWith(query, buffer.length, row => buffer.text(row)),
    // `version` says that the buffer has changed.
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [query, buffer, version],
  );

  useEffect(() => {
    reader.onShift = count => {
      if (place.current) {
        place.current.scrollTop = Math.max(0, place.current.scrollTop + count * LINE);
        top.current = place.current.scrollTop;
      }
    };
    return () => {
      reader.onShift = null;
    };
  }, [reader]);
  useLayoutEffect(() => {
    if (follow && shown && buffer.length > 0) {
      rows.scrollToIndex(buffer.length - 1, { align: 'end' });
    }
    // The rows are another object each time.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [version, follow, shown, wrap]);

  const goTo = (number: number): void => {
    const wanted = hits.length === 0 ? 0 : (number + hits.length) % hits.length;
    setCurrent(wanted);
    const row = hits[wanted];
    if (row !== undefined) {
      setFollow(false);
      rows.scrollToIndex(row, { align: 'center' });
    }
  };
  useEffect(() => {
    if (query !== '') {
      goTo(0);
    }
    // Only a new question moves the text, not what is written meanwhile.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [query]);
  const onScroll = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = place.current ?? NOWHERE;
    if (scrollTop < top.current - 2 && scrollHeight - scrollTop - clientHeight > NEAR) {
      setFollow(false); // somebody went up to read
    }
    top.current = scrollTop;
  };
  return (
    <div className="sg-log">
      <div className="sg-log-bar">
        {choice}
        <label className="sg-job-check">
          <input
            type="checkbox"
            checked={follow}
            onChange={event => setFollow(event.target.checked)}
          />
          {trans.__('Follow')}
        </label>
        <label className="sg-job-check">
          <input type="checkbox" checked={wrap} onChange={event => setWrap(event.target.checked)} />
          {trans.__('Wrap lines')}
        </label>
        <Search
          count={hits.length}
          current={current}
          query={query}
          onQuery={setQuery}
          onStep={step => goTo(current + step)}
        />
        <DownloadLog job={job} stream={stream} />
      </div>
      {error && <ErrorNotice error={error} />}
      <Above reader={reader} />
      {loaded && buffer.length === 0 && (
        <p className="sg-job-quiet">
          {ENDED.has(job.state)
            ? trans.__('Nothing was written.')
            : trans.__('Nothing was written yet.')}
        </p>
      )}
      <div
        ref={place}
        className={`sg-log-text ${wrap ? 'sg-log-wrap' : ''}`}
        role="log"
        aria-live="off"
        aria-label={trans.__('Log of %1', job.name)}
        tabIndex={0}
        onScroll={onScroll}
      >
        <div
          className="sg-log-all"
          style={{
            height: rows.getTotalSize(),
            minWidth: wrap ? undefined : `${buffer.widest + 2}ch`,
          }}
        >
          {rows.getVirtualItems().map(item => (
            <div
              key={item.key}
              data-index={item.index}
              ref={wrap ? rows.measureElement : undefined}
              className={`sg-log-row ${hits[current] === item.index ? 'sg-current' : ''}`}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <LogLine pieces={buffer.pieces(item.index)} query={query} />
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}

const NOWHERE = { scrollTop: 0, scrollHeight: 0, clientHeight: 0 };
