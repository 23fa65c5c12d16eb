import { execa } from 'execa';
import type { HostSession } from '../ssh/session.js';
import { FileWriter } from './file-writer.js';
import { readListing, HostProtocolError, type Listing } from './listing.js';
import { NoRoom, roomIn } from './room.js';

/** A million outputs with names of common length; no job should leave more. */
const maxListBytes = 256 * 2 ** 20;
/** Attempts to fetch everything anew when a file differs from its digest. */
const maxTries = 3;

/**
 * Fetches a job's outputs from its folder on the host: files, folders and links that stay inside. A
 * file is kept only if it has the digest that the host computed from its disk. After a break it
 * resumes at the byte where it stopped.
 * @param hostFolder the job's outputs there
 * @returns sentences about the skipped outputs
 * @throws SshError; HostProtocolError; NoRoom
 */
export async function fetchOutputs(
  session: HostSession,
  jobFolder: string,
  outputDir: string,
  signal: AbortSignal,
): Promise<{ files: number; bytes: number; leftOut: string[] }> {
  for (let tries = 1; ; tries++)
    try {
      return await fetchOnce(session, jobFolder, outputDir, signal);
    } catch (error) {
      if (!(error instanceof HostProtocolError) || tries === maxTries) throw error;
    }
}

async function fetchOnce(
  session: HostSession,
  jobFolder: string,
  outputDir: string,
  signal: AbortSignal,
) {
  await emptyFolder(outputDir);
  const printed = await session.use(
    (link) => link.call(['outputs', jobFolder], { signal, maxBytes: maxListBytes }),
    signal,
  );
  const listing = readListing(printed, `${jobFolder}/out`, outputDir);
  await refuseWithoutRoom(listing, outputDir);
  const writer = new FileWriter(outputDir, listing);
  try {
    while (writer.missing.names.length > 0) {
      const before = progressOf(writer);
      await session.use(async (link) => {
        const { names, offset } = writer.missing;
        const input = Buffer.from(names.map((raw) => `./${raw}\0`).join(''), 'latin1');
        const onOutput = (chunk: Buffer) => {
          writer.write(chunk);
        };
        if (names.length > 0)
          await link.call(['fetch', jobFolder, String(offset)], { input, onOutput, signal });
      }, signal);
      if (progressOf(writer) === before)
        throw new HostProtocolError('the host sent fewer bytes of the outputs than it had listed');
    }
    writer.makeLinks();
  } finally {
    writer.end();
  }
  return { files: listing.files.length, bytes: writer.bytes, leftOut: listing.leftOut };
}

const progressOf = ({ missing }: FileWriter) => `${missing.names.length} ${missing.offset}`;

/** Removes the outputs of an earlier start of the same job. No other process writes here. */
async function emptyFolder(folder: string): Promise<void> {
  await execa('find', [folder, '-mindepth', '1', '-delete']);
}

async function refuseWithoutRoom({ files }: Listing, outputDir: string): Promise<void> {
  const needed = files.reduce((sum, file) => sum + file.size, 0);
  const free = await roomIn(outputDir);
  if (needed > free) throw new NoRoom(needed, free);
}
