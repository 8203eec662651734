import { usePanel } from '../../panel';
import { COLOUR_MAPS, shortNumber, ticks } from './colours';

/** Which colour means which value. */
export function Legend({
  range,
  colours,
  title,
}: {
  range: [number, number];
  colours: string;
  title: string;
}): React.JSX.Element {
  const { trans } = usePanel();
  const [low, high] = range;
  const gradient = `linear-gradient(to right, ${(COLOUR_MAPS[colours] ?? []).join(', ')})`;
  return (
    <figure
      className="sg-vtk-legend"
      aria-label={trans.__('%1: colours from %2 to %3', title, shortNumber(low), shortNumber(high))}
    >
      <figcaption>{title}</figcaption>
      <div className="sg-vtk-gradient" style={{ backgroundImage: gradient }} />
      <div className="sg-vtk-ticks">
        {ticks(low, high).map(value => (
          <span key={value}>{shortNumber(value)}</span>
        ))}
      </div>
    </figure>
  );
}
