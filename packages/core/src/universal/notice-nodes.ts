// Where the notice lies in the tree of a payload.
import { displayBytes, textPath } from '../model/byte-path.ts';
import type { PayloadEntry } from '../model/payload-tree.ts';
import type { PinnedFile, Plan } from '../plan/plan.ts';
import type { PayloadNode } from './payload-index.ts';

/** A node beside the app's own; `file` pins the bytes of one that is a file. */
export interface NoticeNode {
  readonly node: PayloadNode;
  readonly file?: PinnedFile;
}

/** Where the licences and the source of what uport adds are told. */
const FOLDER = '.uport';
const NAME = 'NOTICE';

/** The notice and its folder, after all that the app has. An app that has the place moves it on. */
export function noticeNodes({ notice, payload }: Plan): readonly NoticeNode[] {
  if (notice === undefined) return [];
  const entries = new Map<string, PayloadEntry>(payload.entries.map((each) => [each.path, each]));
  let folder = FOLDER;
  // An image that uport made may be the app.
  for (let n = 1; isTaken(entries, folder); n++) folder = `${FOLDER}-${n}`;
  const path = textPath(`${folder}/${NAME}`);
  const file: NoticeNode = {
    node: { type: 'file', path, mode: 0o644, size: notice.size },
    file: notice,
  };
  if (entries.has(folder)) return [file];
  return [{ node: { type: 'directory', path: textPath(folder), mode: 0o755 } }, file];
}

function isTaken(entries: ReadonlyMap<string, PayloadEntry>, folder: string): boolean {
  const there = entries.get(folder);
  return (there && there.type !== 'directory') || entries.has(`${folder}/${NAME}`);
}

/** The path of the notice in a payload's index, for people; undefined when there is none. */
export function noticeOf(nodes: readonly PayloadNode[]): string | undefined {
  const last = nodes.at(-1);
  const found = last?.type === 'file' && /^\.uport(?:-\d+)?\/NOTICE$/.test(last.path);
  return found ? displayBytes(last.path) : undefined;
}
