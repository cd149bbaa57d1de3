import { type Der, derError, TAG } from '../der.ts';

const UTC_TIME = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
// RFC 5280, 4.1.2.5.1.
const CENTURY_TURN = 50;

export function isTime(value: Der | undefined): value is Der {
  return value?.tag === TAG.utcTime || value?.tag === TAG.generalizedTime;
}

/** Time of RFC 5280, 4.1.2.5, in ms since 1970. Throws `DerError`. */
export function parseTime(value: Der | undefined): number {
  if (!isTime(value)) throw derError('not a time');
  const text = String.fromCharCode(...value.content.subarray(0, 16));
  const match = (value.tag === TAG.utcTime ? UTC_TIME : GENERALIZED_TIME).exec(text);
  if (match === null || value.content.length !== text.length)
    throw derError(`not a time: ${JSON.stringify(text)}`);
  const [short = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const year = value.tag === TAG.generalizedTime ? short : short + (short < CENTURY_TURN ? 2000 : 1900);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60;
  if (!isReal || second >= 60) throw derError(`not a time: ${JSON.stringify(text)}`);
  return date.getTime();
}
