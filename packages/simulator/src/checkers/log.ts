import type { LogLine } from '../world/logger.ts';
import type { Verdicts } from './checker.ts';

/** What honest nodes say of themselves and of each other: none gives up but for its disk, none proves another's fault. */
export function checkLog({ world, honest, fail }: Verdicts): (line: LogLine) => void {
  const names = new Map(world.hosts.map(({ account, name }) => [account, name]));
  return ({ name, isFatal, message, fields }) => {
    if (!honest.has(name)) return;
    const code = String(fields.code);
    if (isFatal && !code.startsWith('DISK_')) fail('crash', `${name} gives up: ${message} ${code}`);
    const member = names.get(String(fields.member)) ?? '';
    if (message.startsWith('a member contradicted itself') && honest.has(member))
      fail('contradiction', `${name} holds a proof that ${member} equivocated`);
  };
}
