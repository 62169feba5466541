import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import aws4 from 'aws4';

export interface S3Settings {
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Where the objects lie. */
  readonly folder: string;
}

/** A bucket on the loopback interface that takes nothing unsigned. */
export interface S3Server {
  /** `HOST:PORT` */
  readonly endpoint: string;
  /** `METHOD KEY`, in the order they came. */
  readonly requests: readonly string[];
  close(): void;
}

/**
 * Checks each request's signature with aws4, which has nothing in common with the code that signs,
 * and each body against the digest that was signed.
 */
export async function startS3(settings: S3Settings): Promise<S3Server> {
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    void answer(request, settings, requests).then(
      ({ status, body }) => response.writeHead(status).end(body),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { endpoint: `127.0.0.1:${port}`, requests, close: () => void server.close() };
}

async function answer(
  request: IncomingMessage,
  settings: S3Settings,
  requests: string[],
): Promise<{ status: number; body?: Buffer | string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  if (header(request, 'authorization') !== expectedSignature(request, settings)) {
    return refused('SignatureDoesNotMatch', 'The request signature we calculated does not match.');
  }
  if (createHash('sha256').update(body).digest('hex') !== header(request, 'x-amz-content-sha256')) {
    return refused('XAmzContentSHA256Mismatch', 'The digest does not match what was computed.');
  }
  const [, bucket, ...rest] = (request.url ?? '').split('/').map(decodeURIComponent);
  if (bucket !== settings.bucket) return { status: 404, body: '<Code>NoSuchBucket</Code>' };
  const key = rest.join('/');
  requests.push(`${request.method} ${key}`);
  const file = path.join(settings.folder, key);
  if (request.method === 'PUT') {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, body);
    return { status: 200 };
  }
  const found = await readFile(file).catch(() => undefined);
  if (found === undefined) return { status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' };
  return { status: 200, body: request.method === 'HEAD' ? '' : found };
}

function header(request: IncomingMessage, name: string): string {
  return String(request.headers[name] ?? '');
}

function expectedSignature(request: IncomingMessage, settings: S3Settings): string | undefined {
  const names = /SignedHeaders=([^,]+)/.exec(header(request, 'authorization'))?.[1]?.split(';');
  if (!names?.includes('host') || !names.includes('x-amz-content-sha256')) return 'unsigned';
  const headers = Object.fromEntries(names.map((name) => [name, header(request, name)]));
  const signed = aws4.sign(
    {
      service: 's3',
      region: settings.region,
      method: request.method ?? '',
      path: request.url ?? '',
      host: header(request, 'host'),
      headers,
    },
    { accessKeyId: settings.accessKeyId, secretAccessKey: settings.secretAccessKey },
  );
  return String(signed.headers?.Authorization);
}

function refused(code: string, message: string) {
  return { status: 403, body: `<Error><Code>${code}</Code><Message>${message}</Message></Error>` };
}
