import { usePanel } from '../../panel';
import { shortNumber } from './colours';
import type { DataArray, DataSet } from './types';
import { rangeOf } from './values';

/** What a data set contains, in words. */
export function Summary({ data, open }: { data: DataSet; open: boolean }): React.JSX.Element {
  const { trans } = usePanel();
  const size = data.geometry.shape === 'grid' ? ` (${data.geometry.dimensions.join(' × ')})` : '';
  return (
    <details className="sg-vtk-summary" open={open}>
      <summary>
        {trans.__('%1%2: %3 points, %4 cells', data.kind, size, data.pointCount, data.cellCount)}
      </summary>
      <p>{data.title}</p>
      <table>
        <thead>
          <tr>
            <th scope="col">{trans.__('Array')}</th>
            <th scope="col">{trans.__('On')}</th>
            <th scope="col">{trans.__('Range')}</th>
          </tr>
        </thead>
        <tbody>
          {data.pointData.map(array => (
            <ArrayLine key={`p${array.name}`} data={data} array={array} on="points" />
          ))}
          {data.cellData.map(array => (
            <ArrayLine key={`c${array.name}`} data={data} array={array} on="cells" />
          ))}
        </tbody>
      </table>
    </details>
  );
}

function ArrayLine({
  data,
  array,
  on,
}: {
  data: DataSet;
  array: DataArray;
  on: 'points' | 'cells';
}): React.JSX.Element {
  const { trans } = usePanel();
  const component = array.components === 1 ? 0 : -1;
  const range = rangeOf(data, { on, name: array.name, component });
  return (
    <tr>
      <th scope="row">{array.components === 1 ? array.name : `|${array.name}|`}</th>
      <td>{on === 'points' ? trans.__('points') : trans.__('cells')}</td>
      <td>{range ? `${shortNumber(range[0])} … ${shortNumber(range[1])}` : '–'}</td>
    </tr>
  );
}
