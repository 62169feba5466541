// Who signs for AWS: the environment, else the profiles that the AWS tools keep.
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { systemError } from '../system-error.ts';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param profile one that was named; then the environment's keys do not count
 * @returns undefined when there are none: requests then go unsigned, which public buckets allow
 * @throws UportError UPORT_AWS_PROFILE for a named profile that is not there or lacks a key
 */
export async function awsCredentials(
  profile: string | undefined,
  environment: Environment = process.env,
): Promise<AwsCredentials | undefined> {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = environment;
  if (profile === undefined && id && secret) {
    const token = environment.AWS_SESSION_TOKEN;
    return { accessKeyId: id, secretAccessKey: secret, ...(token && { sessionToken: token }) };
  }
  const folder = path.join(environment.HOME || homedir(), '.aws');
  const credentials = environment.AWS_SHARED_CREDENTIALS_FILE || path.join(folder, 'credentials');
  const config = environment.AWS_CONFIG_FILE || path.join(folder, 'config');
  const asked = profile ?? environment.AWS_PROFILE;
  const name = asked || 'default';
  for (const [file, section] of [
    [credentials, name],
    [config, name === 'default' ? name : `profile ${name}`],
  ] as const) {
    const found = readSection(await readIfThere(file), section);
    const accessKeyId = found?.get('aws_access_key_id');
    const secretAccessKey = found?.get('aws_secret_access_key');
    if (!accessKeyId || !secretAccessKey) continue;
    const sessionToken = found?.get('aws_session_token');
    return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  }
  if (!asked) return undefined;
  throw new UportError({
    code: 'UPORT_AWS_PROFILE',
    category: 'usage',
    message: `there is no AWS profile ${JSON.stringify(name)} with aws_access_key_id and aws_secret_access_key`,
    hint: `add it to ${credentials}, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`,
    file: credentials,
  });
}

async function readIfThere(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return '';
    throw systemError(error, file);
  });
}

/** One section of an INI file, as the AWS tools read it. */
function readSection(text: string, name: string): ReadonlyMap<string, string> | undefined {
  let values: Map<string, string> | undefined;
  let inside = false;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const section = /^\[\s*(.*?)\s*\]/.exec(line)?.[1];
    if (section !== undefined) {
      inside = section === name;
      if (inside) values ??= new Map();
      continue;
    }
    const pair = /^([A-Za-z_]+)\s*=\s*(.*?)(?:\s[#;].*)?$/.exec(line);
    if (inside && pair) values?.set((pair[1] as string).toLowerCase(), (pair[2] as string).trim());
  }
  return values;
}
