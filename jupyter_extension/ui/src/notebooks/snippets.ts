/** Cells in Python that use `gateway.client`. All values become Python literals; nothing is pasted as code. */

/** A value of JSON's as Python writes it. */
export function pythonLiteral(value: unknown): string {
  if (value === null || value === undefined) {
    return 'None';
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  if (typeof value === 'number') {
    return Number.isFinite(value) ? String(value) : 'None';
  }
  if (typeof value === 'string') {
    return pythonText(value);
  }
  if (Array.isArray(value)) {
    return `[${value.map(pythonLiteral).join(', ')}]`;
  }
  if (typeof value === 'object') {
    const items = Object.entries(value as Record<string, unknown>);
    return `{${items.map(([key, item]) => `${pythonText(key)}: ${pythonLiteral(item)}`).join(', ')}}`;
  }
  return 'None';
}

/** JSON's escapes are Python's too. */
function pythonText(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029]/g, found => escape(found));
}

function escape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A cell that launches a case and waits for it. */
export function launchSnippet(name: string | undefined, values: Record<string, unknown>): string {
  const given = Object.entries(values);
  const shown =
    given.length === 0
      ? '{}'
      : `{\n${given.map(([key, value]) => `        ${pythonText(key)}: ${pythonLiteral(value)},`).join('\n')}\n    }`;
  const what = name === undefined ? pythonText('cavity') : pythonText(name);
  return `from gateway.client import Gateway

gw = Gateway()
job = gw.submit(
    case=${what},
    values=${shown},
)
job`;
}

/** A cell that reads an output into what fits its kind. */
export function readSnippet(job: string, path: string, store?: string): string {
  const outputs = store === undefined ? 'job.outputs' : `job.outputs(${pythonText(store)})`;
  const file = `${outputs}[${pythonText(path)}]`;
  return `from gateway.client import Gateway

job = Gateway().job(${pythonText(job)})
${readLines(path, file)}`;
}

function readLines(path: string, file: string): string {
  const ending = path.toLowerCase().split('.').at(-1) ?? '';
  switch (ending) {
    case 'csv':
    case 'tsv':
      return `import pandas

with ${file}.open() as stream:
    table = pandas.read_csv(stream${ending === 'tsv' ? ', sep="\\t"' : ''})
table`;
    case 'json':
      return `import json

data = json.loads(${file}.read_text())
data`;
    case 'png':
    case 'jpg':
    case 'jpeg':
    case 'gif':
      return `from IPython.display import Image

with ${file}.open() as stream:
    picture = Image(stream.read())
picture`;
    default:
      return isText(ending)
        ? `print(${file}.read_text())`
        : `with ${file}.open() as stream:
    data = stream.read(1000)
data`;
  }
}

function isText(ending: string): boolean {
  return ['txt', 'log', 'out', 'err', 'dat', 'md', 'yaml', 'yml', 'toml', 'vtk', 'xml'].includes(
    ending,
  );
}
