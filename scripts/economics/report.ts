import { CREDIT_MAX } from '@nemea/membership';
import { ASSUMED, breakEven, growth, lossOf } from './model.ts';
import { type Plot, renderPlots } from './plot.ts';

/** The plot and the table of docs/economics.md. */

const CREDITS = [
  1, 100, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000, 9_500, 9_900, 10_000,
];
const NOTICED = [1, 0.5, 0.1, 0.01];
const TABLE_CREDITS = [1, 100, 1_000, 5_000, 9_000, 10_000];

export function economicsPlot(): string {
  return renderPlots([costPlot(), growthPlot()]);
}

function costPlot(): Plot {
  const lines = NOTICED.map((noticed) => ({
    name: `theft is noticed ${noticed === 1 ? 'always' : `with ${100 * noticed} %`}: below the line it does not pay`,
    points: CREDITS.map((credit) => [credit, breakEven(credit, noticed, ASSUMED)] as const),
  }));
  return {
    title: 'What stolen data must be worth for theft to pay',
    x: { label: 'credit that the task demands', max: CREDIT_MAX, ticks: [0, 2_500, 5_000, 7_500, 10_000] },
    y: {
      label: 'deposits (a fee is at most 1)',
      min: 0.01,
      max: 10,
      isLog: true,
      ticks: [0.01, 0.1, 1, 10],
    },
    lines,
  };
}

function growthPlot(): Plot {
  const credits = growth(ASSUMED);
  const every = Math.ceil(credits.length / 100);
  const points = credits.flatMap((credit, epoch) =>
    epoch % every === 0 || epoch === credits.length - 1 ? [[epoch, credit] as const] : [],
  );
  const max = Math.ceil(credits.length / 500) * 500;
  return {
    title: 'How long the way back is',
    x: {
      label: 'epochs of honest service',
      max,
      ticks: [0, max / 4, max / 2, (3 * max) / 4, max].map(Math.round),
    },
    y: { label: 'credit', min: 0, max: CREDIT_MAX, isLog: false, ticks: [0, 2_500, 5_000, 7_500, 10_000] },
    lines: [
      {
        name: `three results an epoch; ${ASSUMED.suspensionEpochs} epochs of suspension come before`,
        points,
      },
    ],
  };
}

export function economicsTable(): string {
  const credits = growth(ASSUMED);
  const lines = TABLE_CREDITS.map((credit) => {
    const { deposit, income } = lossOf(credit, ASSUMED);
    const pays = NOTICED.map((noticed) => breakEven(credit, noticed, ASSUMED).toFixed(3)).join(' | ');
    const back = credits.findIndex((it) => it >= credit);
    return `| ${credit} | ${back} | ${deposit} + ${income.toFixed(3)} | ${pays} |`;
  });
  return [
    `| credit demanded | epochs to earn it | being caught costs: deposit + income, in deposits | ${NOTICED.map((it) => `pays from, noticed ${100 * it} %`).join(' | ')} |`,
    `|---|---|---|${NOTICED.map(() => '---|').join('')}`,
    ...lines,
  ].join('\n');
}
