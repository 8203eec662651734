import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { ENDED, type State, type Sweep } from '../api/models';
import { run } from '../commands';
import { stateWord } from '../components/state';
import type { Panel } from '../panel';
import { countsOf, type News } from '../state/ended';

/** `6 succeeded, 1 failed`. */
function countsText(counts: Record<string, number | undefined>, trans: TranslationBundle): string {
  return [...ENDED]
    .filter(state => (counts[state] ?? 0) > 0)
    .map(state => `${counts[state] ?? 0} ${stateWord(state, trans)}`)
    .join(', ');
}

function isOver(sweep: Sweep): boolean {
  return sweep.state !== 'accepted' && sweep.state !== 'running';
}

/** What is said about some jobs that have ended. */
export function textOfNews(news: News, trans: TranslationBundle): string {
  const [job] = news.jobs;
  if (news.sweep) {
    const { name, counts } = news.sweep;
    return isOver(news.sweep)
      ? trans.__('Sweep “%1” has ended: %2', name, countsText(counts, trans))
      : trans.__('Sweep “%1” so far: %2', name, countsText(counts, trans));
  }
  if (news.jobs.length === 1 && job) {
    const text = trans.__('“%1”: %2', job.name, stateWord(job.state, trans));
    return job.state === 'failed' && job.message ? `${text} (${job.message})` : text;
  }
  return trans.__(
    '%1 jobs have ended: %2',
    news.jobs.length,
    countsText(countsOf(news.jobs), trans),
  );
}

function countsOfNews(news: News): Partial<Record<State, number>> {
  return news.sweep ? news.sweep.counts : countsOf(news.jobs);
}

function hasFailed(news: News): boolean {
  const counts = countsOfNews(news);
  return (counts.failed ?? 0) + (counts.lost ?? 0) > 0;
}

export function typeOfNews(news: News): 'success' | 'error' | 'info' {
  if (hasFailed(news)) {
    return 'error';
  }
  return (countsOfNews(news).succeeded ?? 0) > 0 ? 'success' : 'info';
}

/** Shows news as JupyterLab's notifications, one for a sweep however often something is said about it. */
export class Notices {
  private readonly shown = new Map<string, string>();

  /** @param show Opens the sidebar, with a sweep opened in it. */
  constructor(
    private readonly panel: Panel,
    private readonly show: (sweep: string | null) => void,
  ) {}

  tell(all: readonly News[]): void {
    for (const news of all) {
      if (this.isWorthAWord(news)) {
        this.say(news);
      }
    }
  }

  /** Of a sweep that goes on only its first failure is told, and its end. */
  private isWorthAWord(news: News): boolean {
    return !news.sweep || isOver(news.sweep) || (hasFailed(news) && !this.shown.has(news.key));
  }

  private say(news: News): void {
    const message = textOfNews(news, this.panel.trans);
    const type = typeOfNews(news);
    const options = { autoClose: 8000, actions: this.actions(news) };
    const before = this.shown.get(news.key);
    if (before === undefined || !Notification.update({ id: before, message, type, ...options })) {
      this.shown.set(news.key, Notification.emit(message, type, options));
    }
  }

  private actions(news: News): Notification.IAction[] {
    const { trans, commands } = this.panel;
    const [job] = news.jobs;
    const one = !news.sweep && news.jobs.length === 1 && job ? job : null;
    const show = {
      label: trans.__('Show'),
      caption: trans.__('Show what has ended'),
      callback: () => {
        if (one) {
          run(commands, 'openJob', { id: one.id });
        } else {
          this.show(news.sweep?.id ?? null);
        }
      },
    };
    if (!job) {
      return [show];
    }
    const again = {
      label: trans.__('Launch again'),
      caption: trans.__('Launch “%1” again, with changes', job.name),
      callback: () => run(commands, 'launch', { from: job.id }),
    };
    return one ? [show, again] : [show];
  }
}
