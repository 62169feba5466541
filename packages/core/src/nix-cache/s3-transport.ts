// A binary cache in a bucket of S3, or of a server that speaks the same.
import { awsCredentials } from './aws-credentials.ts';
import { awsEncode, signAwsRequest } from './aws-signature.ts';
import { cacheFault } from './faults.ts';
import { httpTransport } from './http-transport.ts';
import type { CacheTransport } from './transport.ts';

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

/**
 * Opens `s3://BUCKET[/PREFIX]?region=…&endpoint=HOST[:PORT]&scheme=https&profile=…`, as Nix spells it.
 * Without an endpoint it is Amazon's.
 *
 * @throws UportError UPORT_NIX_CACHE_URL, UPORT_AWS_PROFILE
 */
export async function s3Transport(address: URL): Promise<CacheTransport> {
  const bucket = address.host;
  const setting = (name: string) => address.searchParams.get(name) || undefined;
  if (!BUCKET.test(bucket)) throw invalid(address, 'has no bucket of a name that S3 allows');
  const region = setting('region') ?? process.env.AWS_REGION ?? 'us-east-1';
  const scheme = setting('scheme') ?? 'https';
  if (scheme !== 'https' && scheme !== 'http') throw invalid(address, 'has an unknown scheme');
  const endpoint = setting('endpoint');
  const base =
    endpoint === undefined
      ? `${scheme}://${bucket}.s3.${region}.amazonaws.com`
      : `${/^https?:\/\//.test(endpoint) ? '' : `${scheme}://`}${endpoint.replace(/\/+$/, '')}/${bucket}`;
  if (!URL.canParse(base)) throw invalid(address, 'has an endpoint that is no host');
  const url = new URL(base);
  url.pathname += address.pathname.replace(/^\/+/, '/').replace(/\/+$/, '');
  const credentials = await awsCredentials(setting('profile'));
  return httpTransport(url, {
    shown: `s3://${bucket}${address.pathname}`,
    encodeName: (name) => name.split('/').map(awsEncode).join('/'),
    ...(credentials && {
      authorize: ({ method, url: target, bodyDigest }) =>
        signAwsRequest(
          { method, url: target, headers: {}, bodyDigest },
          { region, service: 's3', credentials, now: new Date() },
        ),
    }),
  });
}

function invalid(address: URL, what: string): Error {
  return cacheFault(
    'UPORT_NIX_CACHE_URL',
    `s3://${address.host}${address.pathname} ${what}`,
    'write s3://BUCKET?region=REGION, and &endpoint=HOST:PORT&scheme=http for a server of your own',
  );
}
