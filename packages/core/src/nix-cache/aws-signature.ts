// AWS Signature Version 4, in a header: docs.aws.amazon.com, "Authenticating Requests (AWS Signature
// Version 4)".
import { createHash, createHmac } from 'node:crypto';
import type { AwsCredentials } from './aws-credentials.ts';

export interface AwsRequest {
  readonly method: string;
  readonly url: URL;
  /** To be signed too, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** sha256 of the body, in hex. */
  readonly bodyDigest: string;
}

export interface AwsScope {
  readonly region: string;
  readonly service: string;
  readonly credentials: AwsCredentials;
  /** The time of the request. */
  readonly now: Date;
}

/** The headers that sign a request, to be sent besides its own. */
export function signAwsRequest(request: AwsRequest, scope: AwsScope): Record<string, string> {
  const { accessKeyId, secretAccessKey, sessionToken } = scope.credentials;
  const time = scope.now.toISOString().replace(/[-:]|\.\d+/g, '');
  const date = time.slice(0, 8);
  const own: Record<string, string> = {
    'x-amz-content-sha256': request.bodyDigest,
    'x-amz-date': time,
    ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
  };
  const signed = Object.entries({ ...request.headers, ...own, host: request.url.host })
    .map(([name, value]) => [name, value.trim().replace(/ +/g, ' ')] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(';');
  const canonical = [
    request.method,
    canonicalPath(request.url),
    canonicalQuery(request.url),
    ...signed.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    request.bodyDigest,
  ].join('\n');
  const place = `${date}/${scope.region}/${scope.service}/aws4_request`;
  const digest = createHash('sha256').update(canonical).digest('hex');
  const text = ['AWS4-HMAC-SHA256', time, place, digest].join('\n');
  const key = [date, scope.region, scope.service, 'aws4_request'].reduce<Buffer | string>(
    (previous, part) => hmac(previous, part),
    `AWS4${secretAccessKey}`,
  );
  return {
    ...own,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${place}, SignedHeaders=${names}, Signature=${hmac(key, text).toString('hex')}`,
  };
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Percent-encodes every byte but letters, digits and `-._~`. */
export function awsEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** S3 takes the path as it is, encoded once; other services would have it encoded twice. */
function canonicalPath(url: URL): string {
  return url.pathname
    .split('/')
    .map((part) => awsEncode(decodeURIComponent(part)))
    .join('/');
}

function canonicalQuery(url: URL): string {
  return [...url.searchParams]
    .map(([name, value]) => `${awsEncode(name)}=${awsEncode(value)}`)
    .sort()
    .join('&');
}
