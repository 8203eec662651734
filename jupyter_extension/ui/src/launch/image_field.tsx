import { useEffect, useId, useState } from 'react';

import type { ImageSummary } from '../api/models';
import { usePanel } from '../panel';

/** Milliseconds after the last change before the catalogue is asked. */
const PAUSE = 250;
/** Images that are offered at once. */
const OFFERED = 20;

interface Props {
  value: string;
  onChange: (value: string) => void;
}

/** Where an image lies, or a name of the catalogue: those that fit what was typed are offered. */
export function ImageField({ value, onChange }: Props): React.JSX.Element {
  const { trans } = usePanel();
  const list = useId();
  const offered = useImages(value.trim());
  const chosen = offered.find(image => image.names.includes(value.trim()));
  return (
    <>
      <label className="sg-resource">
        <span>{trans.__('Image')}</span>
        <input
          className="jp-mod-styled"
          list={list}
          value={value}
          placeholder={trans.__(
            'fsl/6.0.3 or https://…/tool.sif; empty: on the host, where that is allowed',
          )}
          onChange={event => onChange(event.target.value)}
        />
      </label>
      <datalist id={list}>
        {offered.map(image => (
          <option key={image.id} value={image.name}>
            {about(image)}
          </option>
        ))}
      </datalist>
      {chosen && <p className="sg-image-about">{about(chosen) || chosen.digest}</p>}
    </>
  );
}

/** What people want to know of an image, beside its name. */
function about(image: ImageSummary): string {
  return [image.summary, image.categories.join(', ')].filter(text => text !== '').join(' · ');
}

/** Images of the catalogue that fit a text, a moment after the person stopped typing; none for an address. */
export function useImages(text: string): ImageSummary[] {
  const { requests } = usePanel();
  const [found, setFound] = useState<ImageSummary[]>([]);
  const wanted = !text.includes(':') && !text.startsWith('/');
  useEffect(() => {
    if (!wanted) {
      return;
    }
    const ended = new AbortController();
    const ask = async (): Promise<void> => {
      try {
        const query = { limit: OFFERED, ...(text === '' ? {} : { q: text }) };
        const page = await requests.get<{ items: ImageSummary[] }>(
          '/api/v1/images',
          query,
          ended.signal,
        );
        if (!ended.signal.aborted) {
          setFound(page.items);
        }
      } catch {
        // A field without offers is still a field; whether the gateway can be reached is said elsewhere.
      }
    };
    const timer = setTimeout(() => void ask(), PAUSE);
    return () => {
      clearTimeout(timer);
      ended.abort();
    };
  }, [requests, text, wanted]);
  return wanted ? found : [];
}
