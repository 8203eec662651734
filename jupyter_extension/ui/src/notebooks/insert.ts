import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';

/** Put a code cell below the current one and make it the current one; in a new notebook where none is open. */
export async function insertCell(
  tracker: INotebookTracker,
  commands: CommandRegistry,
  source: string,
): Promise<void> {
  const panel = tracker.currentWidget ?? (await newNotebook(commands));
  const { content } = panel;
  await panel.context.ready;
  const model = content.model;
  if (!model) {
    return;
  }
  const first = content.widgets[0];
  const empty =
    model.cells.length === 1 &&
    first?.model.type === 'code' &&
    first.model.sharedModel.source === '';
  if (empty) {
    first.model.sharedModel.source = source;
  } else {
    const index = content.activeCellIndex + 1;
    model.sharedModel.insertCell(index, { cell_type: 'code', source });
    content.activeCellIndex = index;
  }
  panel.activate();
}

async function newNotebook(commands: CommandRegistry): Promise<NotebookPanel> {
  return (await commands.execute('notebook:create-new', {
    kernelName: 'python3',
  })) as NotebookPanel;
}
