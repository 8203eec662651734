import { Dialog, MainAreaWidget, showDialog } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';

import { STATE_ICONS } from '../components/icons';
import { stateWord } from '../components/state';
import { PanelContext, type Panel } from '../panel';
import { Observable } from '../state/observable';
import { JobContext, type JobPlace, type Question } from './context';
import { Happenings } from './happenings';
import { JobView } from './view';

/** What stands in the main area for one job. */
export class JobContent extends ReactWidget {
  readonly tab: Observable<string>;
  private readonly shown = new Observable(false);
  private readonly place: JobPlace;
  private readonly leave: (() => void)[];

  constructor(
    private readonly panel: Panel,
    readonly job: string,
    tab: string,
  ) {
    super();
    this.addClass('sg-job-widget');
    this.tab = new Observable(tab);
    const stop = panel.jobs.watch(job);
    const known = panel.jobs.of(job);
    this.place = {
      happenings: new Happenings(panel, job),
      confirm: question => confirm(question, panel),
      close: () => {
        (this.parent ?? this).dispose();
      },
    };
    const onChange = (): void => this.name();
    this.leave = [stop, known.subscribe(onChange)];
    onChange();
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.leave.forEach(end => end());
      this.place.happenings.dispose();
      super.dispose();
    }
  }

  protected override render(): React.JSX.Element {
    return (
      <PanelContext.Provider value={this.panel}>
        <JobContext.Provider value={this.place}>
          <JobView id={this.job} tab={this.tab} shown={this.shown} />
        </JobContext.Provider>
      </PanelContext.Provider>
    );
  }

  protected override onAfterShow(): void {
    this.shown.set(true);
  }

  protected override onAfterAttach(message: Parameters<ReactWidget['onAfterAttach']>[0]): void {
    super.onAfterAttach(message);
    this.shown.set(this.isVisible);
  }

  protected override onBeforeHide(): void {
    this.shown.set(false);
  }

  /** Name and state in the tab of the main area. */
  private name(): void {
    const { trans } = this.panel;
    const { job } = this.panel.jobs.of(this.job).value;
    this.title.label = job?.name ?? trans.__('Job');
    this.title.icon = STATE_ICONS[job?.state ?? 'unknown'];
    this.title.iconClass = job ? `sg-job-icon sg-state-${job.state}` : 'sg-job-icon';
    this.title.caption = job
      ? `${job.name}: ${stateWord(job.state, trans)} (${job.target})`
      : this.job;
  }
}

export type JobWidget = MainAreaWidget<JobContent>;

export function makeJobWidget(panel: Panel, id: string, tab: string): JobWidget {
  const content = new JobContent(panel, id, tab);
  const widget = new MainAreaWidget({ content });
  widget.id = `science-gateway-job-${id}`;
  widget.toolbar.hide();
  const follow = (): void => {
    const { label, icon, iconClass, caption } = content.title;
    Object.assign(widget.title, { label, icon, iconClass, caption, closable: true });
  };
  content.title.changed.connect(follow);
  follow();
  return widget;
}

async function confirm(question: Question, panel: Panel): Promise<boolean> {
  const yes = question.grave ? Dialog.warnButton : Dialog.okButton;
  const answer = await showDialog({
    title: question.title,
    body: question.body,
    buttons: [
      Dialog.cancelButton({ label: panel.trans.__('Leave it') }),
      yes({ label: question.yes }),
    ],
    // What destroys something is not what Enter does.
    defaultButton: question.grave ? 0 : 1,
  });
  return answer.button.accept;
}
