import type { OutputFile } from '../../api/models';
import { baseName, folderOf } from '../../components/output_files';

export interface Step {
  number: number;
  file: OutputFile;
}

/** `VTK/cavity_20.vtk` is step 20 of `VTK/cavity_`; null where a name ends with no number. */
export function stemOf(path: string): { prefix: string; number: number; ending: string } | null {
  const parts = /^(.*?)(\d{1,15})(\.[^.0-9][^.]*)$/s.exec(baseName(path));
  if (!parts) {
    return null;
  }
  return {
    prefix: folderOf(path) + (parts[1] ?? ''),
    number: Number(parts[2]),
    ending: parts[3] ?? '',
  };
}

/** The files that are steps of the same thing, in order. */
export function stepsOf(path: string, files: readonly OutputFile[]): Step[] {
  const own = stemOf(path);
  if (!own) {
    return [];
  }
  return files
    .flatMap(file => {
      const stem = stemOf(file.path);
      const same = stem?.prefix === own.prefix && stem.ending === own.ending;
      return same ? [{ number: stem.number, file }] : [];
    })
    .sort((a, b) => a.number - b.number);
}
