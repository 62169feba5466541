import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import type { Plan } from '../plan/plan.ts';
import { systemError } from '../system-error.ts';

const MAX_PLAN = 256 << 20;

/**
 * The plan of a build.
 *
 * @param place the folder that the build wrote to, an artifact in it, or the plan itself
 * @throws UportError UPORT_PLAN_INVALID, UPORT_NOT_FOUND
 */
export async function readPlan(place: string): Promise<Plan> {
  const file = await planFile(place);
  let value: unknown;
  try {
    if ((await stat(file)).size > MAX_PLAN) throw invalid(file, 'it has more than 256 MiB');
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw error instanceof SyntaxError ? invalid(file, error.message) : systemError(error, file);
  }
  const plan = value as Partial<Plan> | null;
  const whole =
    plan?.version === 1 &&
    typeof plan.app?.name === 'string' &&
    Array.isArray(plan.payload?.entries) &&
    Array.isArray(plan.hosts) &&
    Number.isSafeInteger(plan.sourceDateEpoch);
  if (!whole) throw invalid(file, 'it is no plan of this uport');
  return value as Plan;
}

async function planFile(place: string): Promise<string> {
  const status = await stat(place).catch((error: unknown) => {
    throw systemError(error, place);
  });
  if (status.isFile() && place.endsWith('.json')) return place;
  const beside = [path.join(path.dirname(path.resolve(place)), 'plan.json')];
  const inside = status.isDirectory() ? [path.join(place, 'plan.json')] : [];
  for (const file of [...inside, ...beside]) {
    if ((await stat(file).catch(() => undefined))?.isFile()) return file;
  }
  throw invalid(place, 'there is no plan.json in it or beside it');
}

function invalid(file: string, what: string): UportError {
  return new UportError({
    code: 'UPORT_PLAN_INVALID',
    category: 'input',
    message: `the plan cannot be used: ${what}`,
    hint: 'name the folder that uport build wrote to',
    file,
  });
}
