/** Line plots as SVG, by hand: the same input gives the same bytes. */

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  readonly x: {
    readonly label: string;
    /** 0 unless it is said. */
    readonly min?: number;
    readonly max: number;
    readonly isLog?: boolean;
    readonly ticks: readonly number[];
  };
  readonly y: {
    readonly label: string;
    readonly min: number;
    readonly max: number;
    readonly isLog: boolean;
    readonly ticks: readonly number[];
  };
  readonly lines: readonly Line[];
}

const [WIDTH, HEIGHT] = [460, 340];
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 12, 34, 110];
const COLOURS = ['#1b6ca8', '#c0392b', '#1e8449', '#7d3c98', '#b9770e'];

/** Plots beside each other. */
export function renderPlots(plots: readonly Plot[]): string {
  const width = WIDTH * plots.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${HEIGHT}" fill="#fff"/>`,
    ...plots.map((plot, i) => `<g transform="translate(${i * WIDTH} 0)">\n${renderPlot(plot)}\n</g>`),
    '</svg>',
    '',
  ].join('\n');
}

function renderPlot(plot: Plot): string {
  const right = WIDTH - RIGHT;
  const bottom = HEIGHT - BOTTOM;
  const [across, up] = [shareAlong({ min: 0, ...plot.x }), shareAlong(plot.y)];
  const xOf = (x: number) => LEFT + across(x) * (right - LEFT);
  const yOf = (y: number) => bottom - up(Math.max(y, plot.y.min)) * (bottom - TOP);
  return [
    text(WIDTH / 2, 18, plot.title, 'middle', 13),
    ...plot.x.ticks.flatMap((tick) => [
      `<path d="M${at(xOf(tick))} ${TOP}V${bottom}" stroke="#ddd"/>`,
      text(xOf(tick), bottom + 14, tick.toLocaleString('en'), 'middle'),
    ]),
    ...plot.y.ticks.flatMap((tick) => [
      `<path d="M${LEFT} ${at(yOf(tick))}H${right}" stroke="#ddd"/>`,
      text(LEFT - 6, yOf(tick) + 4, tick.toLocaleString('en'), 'end'),
    ]),
    `<path d="M${LEFT} ${TOP}V${bottom}H${right}" fill="none" stroke="#333"/>`,
    text((LEFT + right) / 2, bottom + 30, plot.x.label, 'middle'),
    `<text transform="translate(14 ${(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">${plot.y.label}</text>`,
    ...plot.lines.flatMap((line, i) => {
      const colour = COLOURS[i % COLOURS.length];
      const path = line.points
        .map(([x, y], p) => `${p === 0 ? 'M' : 'L'}${at(xOf(x))} ${at(yOf(y))}`)
        .join('');
      const y = bottom + 48 + 15 * i;
      return [
        `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.6"/>`,
        `<path d="M${LEFT} ${y - 4}h20" stroke="${colour}" stroke-width="2"/>`,
        text(LEFT + 26, y, line.name, 'start'),
      ];
    }),
  ].join('\n');
}

/** How far along an axis a value stands, from 0 to 1. */
function shareAlong(axis: { min: number; max: number; isLog?: boolean }): (value: number) => number {
  const scale = (value: number) => (axis.isLog ? Math.log10(value) : value);
  const [low, high] = [scale(axis.min), scale(axis.max)];
  return (value) => (scale(value) - low) / (high - low);
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end', size = 11): string {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}" font-size="${size}">${content}</text>`;
}

function at(value: number): string {
  return String(Math.round(value * 10) / 10);
}
