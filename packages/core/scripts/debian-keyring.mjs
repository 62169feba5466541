// Makes src/debian/archive-keyring.ts from the keyring file of Debian's package
// debian-archive-keyring: node scripts/debian-keyring.mjs FILE VERSION
// Certifications by other people are dropped: only the keys' own signatures matter here.
import { readFileSync, writeFileSync } from 'node:fs';
import { PublicKey, readKeys } from 'openpgp';

const [file, version] = process.argv.slice(2);
if (!file || !version) {
  console.error('usage: node scripts/debian-keyring.mjs FILE VERSION');
  process.exit(2);
}
const keys = await readKeys({ binaryKeys: readFileSync(file) });
const blocks = keys.map((key) => {
  for (const user of key.users) user.otherCertifications = [];
  const owner = key.users[0].userID.userID;
  return `// ${owner}\n// ${key.getFingerprint()}\n\`${armored(new PublicKey(key.toPacketList()))}\`,`;
});
writeFileSync(
  new URL('../src/debian/archive-keyring.ts', import.meta.url),
  `// Made by scripts/debian-keyring.mjs from debian-archive-keyring ${version}. Not to be edited.

/** The public keys that sign Debian's archive, ASCII-armored, one string each. */
export const DEBIAN_ARCHIVE_KEYS: readonly string[] = [
${blocks.join('\n')}
];
`,
);

function armored(key) {
  return key.armor({ showVersion: false, showComment: false }).replaceAll('\r\n', '\n').trim();
}
