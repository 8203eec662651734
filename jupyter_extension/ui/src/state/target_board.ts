import type { TargetInfo, TargetPage } from '../api/models';
import type { Requests } from '../api/requests';
import type { Jobs } from './jobs';
import { Observable } from './observable';

/** Events come in bursts when a target is lost: one question answers them. */
const GATHER = 1000;

/** What is known of the targets: asked at the beginning, and when jobs on them become unknown or known again. */
export class TargetBoard {
  /** Null: not asked yet. */
  readonly targets = new Observable<readonly TargetInfo[] | null>(null);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly stop: () => void;

  constructor(
    private readonly requests: Requests,
    jobs: Jobs,
  ) {
    this.stop = jobs.onEvent(event => {
      if (
        event.kind === 'state' &&
        (event.data.to === 'unknown' || event.data.from === 'unknown')
      ) {
        this.timer ??= setTimeout(() => {
          this.timer = undefined;
          void this.refresh();
        }, GATHER);
      }
    });
  }

  dispose(): void {
    this.stop();
    clearTimeout(this.timer);
  }

  /** Ask again; where that fails, what was known stays. */
  async refresh(): Promise<void> {
    try {
      this.targets.set((await this.requests.get<TargetPage>('/api/v1/targets')).items);
    } catch {
      // The list of jobs says what is wrong.
    }
  }

  /** Whether nothing can be heard from a target now. */
  isAway(name: string): boolean {
    const found = this.targets.value?.find(target => target.name === name);
    return found !== undefined && !['ok', 'unknown'].includes(found.state);
  }
}
