import { Button } from '@jupyterlab/ui-components';
import { useState } from 'react';

import type { OutputFile } from '../../api/models';
import { bytesText } from '../../components/bytes';
import { ErrorNotice } from '../../components/notice';
import { usePanel } from '../../panel';
import { useDataSet, useSteps } from '../vtk/use_data_set';
import { StepSlider } from '../vtk/step_slider';
import { VtkView } from '../vtk/view';
import { NoPreview } from './none';

/** Larger files are read when asked for; beyond `MOST` not at all. */
const LARGE = 32 * 1024 * 1024;
const MOST = 256 * 1024 * 1024;

/** A legacy VTK file, and the other time steps beside it. */
export default function VtkPreview({ file }: { file: OutputFile }): React.JSX.Element {
  const { trans } = usePanel();
  const [anyway, setAnyway] = useState(false);
  const steps = useSteps(file);
  const [chosen, setChosen] = useState<string | null>(null);
  const shown = steps.find(step => step.file.path === chosen)?.file ?? file;
  const allowed = shown.size <= LARGE || (anyway && shown.size <= MOST);
  const found = useDataSet(allowed ? shown : null, MOST);
  if (shown.size > MOST) {
    return (
      <NoPreview file={shown} why={trans.__('The file is too large to be drawn in a browser.')} />
    );
  }
  if (!allowed) {
    return (
      <div className="sg-look-none">
        <p>{trans.__('The file has %1. All of it is read to draw it.', bytesText(shown.size))}</p>
        <Button onClick={() => setAnyway(true)}>{trans.__('Draw it')}</Button>
      </div>
    );
  }
  return (
    <div className="sg-look-vtk">
      {steps.length > 1 && (
        <StepSlider
          steps={steps}
          shown={shown.path}
          busy={found.busy}
          onStep={path => setChosen(path)}
        />
      )}
      {found.error && <ErrorNotice error={found.error} />}
      {found.data ? (
        <VtkView data={found.data} label={shown.path} />
      ) : (
        !found.error && <p>{trans.__('Loading…')}</p>
      )}
    </div>
  );
}
