// The one file that knows oci-image-builder. Why it is loaded like this: docs/adr/0005-registry-push.md
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { PassThrough, Readable } from 'node:stream';
import vm from 'node:vm';
import type { RegistryClient as LibraryClient } from 'oci-image-builder/build/src/registry.js';
import { parseDigest } from '../model/digest.ts';
import { type BlobTransfer, checkDigest, fetchTransfer, HEAD_ANSWERS } from './blob-transfer.ts';
import type { ClientRequest, RegistryClient } from './client.ts';
import { type HttpAnswer, resolveLocation } from './http.ts';

const LIBRARY_FILE = 'oci-image-builder/build/src/registry.js';

interface LibraryOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string | number | undefined>>;
}

/** What the library sees of an answer. */
interface LibraryAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
}

type LibraryCallback = (error: unknown, answer?: LibraryAnswer, body?: Buffer) => void;

/** The part of the package `request` that the library's blob functions use, on our own client. */
interface LibraryTransport {
  head(options: LibraryOptions, done: LibraryCallback): void;
  post(options: LibraryOptions, done: LibraryCallback): void;
  put(options: LibraryOptions, done: LibraryCallback): PassThrough;
}

/**
 * Blobs through oci-image-builder, where it is installed. The library decides what is asked of the
 * registry; our client carries it, so that logins, Locations, TLS, limits and cancelling are the
 * same as everywhere.
 */
export function imageBuilderTransfer(
  client: RegistryClient,
  lookFrom: string = import.meta.url,
): BlobTransfer | undefined {
  const Library = loadLibrary(transportOn(client), lookFrom);
  if (!Library) return undefined;
  const library = new Library(client.reference.apiHost, client.reference.repository);
  library._protocol = client.base.protocol.slice(0, -1);
  const plain = fetchTransfer(client);
  return {
    name: 'oci-image-builder',
    exists: (digest) => library.blobExists(digest),
    async upload(blob) {
      // The library takes a size of 0 for an unknown one.
      if (blob.size === 0) return plain.upload(blob);
      const bytes = Readable.from(blob.open(), { objectMode: false });
      try {
        await library.upload(bytes, blob.size, blob.digest);
      } finally {
        bytes.destroy();
      }
    },
  };
}

function loadLibrary(
  transport: LibraryTransport,
  lookFrom: string,
): typeof LibraryClient | undefined {
  const require = createRequire(lookFrom);
  let file: string;
  try {
    file = require.resolve(LIBRARY_FILE);
  } catch {
    return undefined;
  }
  const exports: { RegistryClient?: typeof LibraryClient } = {};
  const load = vm.compileFunction(readFileSync(file, 'utf8'), ['exports', 'require'], {
    filename: file,
  });
  load(exports, (name: string) => (name === 'request' ? transport : require(`node:${name}`)));
  return exports.RegistryClient;
}

function transportOn(client: RegistryClient): LibraryTransport {
  const run = (
    request: ClientRequest,
    done: LibraryCallback,
    check?: (a: HttpAnswer) => unknown,
  ) => {
    client.send(request).then(
      (answer) => {
        try {
          check?.(answer);
          done(null, forLibrary(answer), answer.body);
        } catch (error) {
          fail(done, error);
        }
      },
      (error: unknown) => fail(done, error),
    );
  };
  /** The library's callbacks may throw after they have rejected; that must not end the process. */
  const fail = (done: LibraryCallback, fault: unknown) => {
    try {
      done(fault);
    } catch {
      // It has rejected with `fault` before.
    }
  };
  const locationOf = (answer: HttpAnswer) =>
    resolveLocation(answer.headers.get('location'), answer.url, client.insecure).href;
  const forLibrary = (answer: HttpAnswer): LibraryAnswer => {
    const headers: Record<string, string> = Object.fromEntries(answer.headers);
    // The library cannot read a relative Location.
    if (headers.location !== undefined) headers.location = locationOf(answer);
    return { statusCode: answer.status, headers };
  };
  return {
    head(options, done) {
      run(
        {
          method: 'HEAD',
          url: new URL(options.url),
          accept: HEAD_ANSWERS,
          doing: 'looking for a blob',
        },
        done,
      );
    },
    post(options, done) {
      run(
        {
          method: 'POST',
          url: new URL(options.url),
          headers: { 'content-length': '0' },
          accept: [202],
          doing: 'starting the upload of a blob',
        },
        done,
        locationOf,
      );
    },
    put(options, done) {
      const pipe = new PassThrough({ highWaterMark: 256 << 10 });
      pipe.on('pipe', (source) => source.once('error', (error) => pipe.destroy(error)));
      const url = new URL(options.url);
      const digest = parseDigest(url.searchParams.get('digest') ?? '');
      run(
        {
          method: 'PUT',
          url,
          headers: { 'content-type': 'application/octet-stream' },
          stream: { size: Number(options.headers['Content-Length']), open: () => pipe },
          accept: [201],
          doing: `pushing blob ${digest}`,
        },
        done,
        (answer) => checkDigest(answer, digest),
      );
      return pipe;
    },
  };
}
