import type { TranslationBundle } from '@jupyterlab/translation';

import type { Job, Resources } from '../api/models';
import { clockDuration } from '../components/times';
import { usePanel } from '../panel';

/** Resources, image and command, as they were asked for. */
export function Request({ job }: { job: Job }): React.JSX.Element {
  const { trans } = usePanel();
  const spec = job.spec ?? {};
  const image = spec.image as { ref?: string } | string | null | undefined;
  const command = spec.command as string[] | null | undefined;
  const rows = resourceRows(spec.resources ?? {}, trans);
  const ref = typeof image === 'string' ? image : image?.ref;
  rows.push([trans.__('Image'), ref ?? trans.__('none: on the host')]);
  const code = command ? trans.__('Command') : trans.__('Script');
  if (command) {
    rows.push([code, command.map(quoted).join(' ')]);
  } else if (typeof spec.script === 'string') {
    rows.push([code, spec.script.trim()]);
  }
  return (
    <dl className="sg-job-pairs">
      {rows.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{label === code ? <pre className="sg-job-code">{value}</pre> : value}</dd>
        </div>
      ))}
    </dl>
  );
}

function resourceRows(asked: Partial<Resources>, trans: TranslationBundle): [string, string][] {
  const rows: [string, string | null | undefined][] = [
    [trans.__('Nodes'), text(asked.nodes)],
    [trans.__('CPUs per node'), text(asked.cpus)],
    [trans.__('Memory per node'), asked.memory ? memoryText(asked.memory) : null],
    [trans.__('GPUs per node'), asked.gpus ? text(asked.gpus) : null],
    [
      trans.__('Tasks per node'),
      (asked.tasks_per_node ?? 1) > 1 ? text(asked.tasks_per_node) : null,
    ],
    [trans.__('Walltime'), asked.walltime ? clockDuration(asked.walltime) : null],
    [trans.__('Queue'), asked.queue],
    [trans.__('Account'), asked.account],
    ...Object.entries(asked.options ?? {}),
  ];
  return rows.filter((row): row is [string, string] => typeof row[1] === 'string');
}

function text(value: number | undefined): string | null {
  return value === undefined ? null : String(value);
}

/** Memory as it is asked for: powers of 1024. */
function memoryText(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(1))} ${units[unit] ?? ''}`;
}

/** An argument as a shell would take it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
