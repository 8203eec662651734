import { useEffect, useState } from 'react';

import type { CaseInfo } from '../api/models';
import { textOf } from '../api/problems';
import { address } from '../api/requests';
import { Notice } from '../components/notice';
import { usePanel } from '../panel';

const ASK_AGAIN = 2000;

/** Says when a case's image has yet to be built, and builds it. */
export function ImageNotice({
  info,
  reload,
}: {
  info: CaseInfo;
  reload: () => void;
}): React.JSX.Element | null {
  const { requests, trans } = usePanel();
  const [failure, setFailure] = useState<string | null>(null);
  const [asked, setAsked] = useState(false);
  const building = info.image.state === 'building' || asked;
  useEffect(() => {
    if (!building) {
      return;
    }
    const timer = setInterval(reload, ASK_AGAIN);
    return () => clearInterval(timer);
  }, [building, reload]);
  const build = async (): Promise<void> => {
    setFailure(null);
    setAsked(true);
    try {
      await requests.post(address('cases', info.name, 'build'), undefined, { patience: 0 });
    } catch (error) {
      setFailure(textOf(error));
    }
    setAsked(false);
    reload();
  };
  if (info.image.state === 'built' || info.image.state === 'remote') {
    return null;
  }
  return (
    <Notice kind={failure || info.image.message ? 'warning' : 'info'}>
      {building
        ? trans.__(
            'The image is being built; that takes a minute or two, once. A job launched now waits for nothing: build first.',
          )
        : trans.__('The image of this case has not been built yet.')}{' '}
      {failure ?? info.image.message ?? ''}{' '}
      {!building && (
        <button type="button" className="sg-link" onClick={() => void build()}>
          {trans.__('Build it now')}
        </button>
      )}
    </Notice>
  );
}
