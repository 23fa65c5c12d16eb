import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { AppError } from '../errors.js';
import { openConfined } from '../storage/confined-fs/confined-files.js';
import { quote, refusalReason } from '../storage/confined-fs/refusals.js';
import { splitConfinedPath } from '../storage/confined-fs/confined-path.js';
import { issueText } from '../schema-problems.js';

const maxManifestBytes = 4 * 1024 * 1024;
const maxMetadataBytes = 64 * 1024;

const idPattern = /^[A-Za-z0-9][A-Za-z0-9._/@+=: -]{0,199}$/;

const manifestSchema = z.object({
  experiment_id: z.string().optional(),
  outputs: z.array(z.unknown()),
});

const entrySchema = z.object({
  id: z
    .string()
    .regex(idPattern, 'expected 1 to 200 of A-Z a-z 0-9 . _ / @ + = : - and space, letter first'),
  path: z.string(),
  type: z.string().min(1).max(100).optional(),
  metadata: z
    .record(z.string(), z.unknown())
    .refine(
      fitsMetadata,
      `expected at most ${maxMetadataBytes} characters of JSON without deep nesting`,
    )
    .optional(),
});

export interface ManifestEntry {
  id: string;
  /**
   * Normalized: no leading `./`, no doubled or trailing slash; `.` means the job's whole folder.
   */
  path: string;
  type: string | undefined;
  metadata: Record<string, unknown>;
}

export interface Manifest {
  entries: ManifestEntry[];
  warnings: string[];
}

/**
 * Reads a job's `manifest.json`: `{"experiment_id"?, "outputs": [{"id", "path", "type"?,
 * "metadata"?}]}`. The job's row decides the experiment; a manifest that names another only causes
 * a warning. Otherwise a job could offer its file under another job's `experiment_id` and
 * `output_id`, from which people download weights.
 * @returns undefined without a manifest; `entries` is undefined when the whole manifest is unusable
 */
export async function readManifest(
  folder: string,
  experimentId: string,
): Promise<Manifest | { entries: undefined; warnings: string[] } | undefined> {
  let text: string;
  try {
    text = await readText(folder);
  } catch (error) {
    if (refusalReason(error) === 'missing') return undefined;
    if (!(error instanceof AppError)) throw error;
    return { entries: undefined, warnings: [`manifest.json is not used: ${error.message}`] };
  }
  return parseManifest(text, experimentId);
}

/** Checks a manifest's content for {@link readManifest}. Bad entries are omitted with a warning. */
export function parseManifest(
  text: string,
  experimentId: string,
): Manifest | { entries: undefined; warnings: string[] } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { entries: undefined, warnings: ['manifest.json is not used: it is not valid JSON'] };
  }
  const manifest = manifestSchema.safeParse(json);
  if (!manifest.success)
    return {
      entries: undefined,
      warnings: [`manifest.json is not used: ${problemsOf(manifest.error)}`],
    };
  const warnings: string[] = [];
  const named = manifest.data.experiment_id;
  if (named !== undefined && named !== experimentId)
    warnings.push(
      `manifest.json names experiment ${quote(named)}, but the job was submitted to ${quote(experimentId)}, which counts`,
    );
  const byId = new Map<string, ManifestEntry>();
  manifest.data.outputs.forEach((raw, index) => {
    const where = `manifest.json outputs[${index}]`;
    const entry = entrySchema.safeParse(raw);
    if (!entry.success) {
      warnings.push(`${where} is omitted: ${problemsOf(entry.error)}`);
      return;
    }
    const { id, path, type, metadata } = entry.data;
    if (byId.has(id)) {
      warnings.push(`${where} is omitted: an earlier entry has the id ${quote(id)}`);
      return;
    }
    try {
      const clean = splitConfinedPath(path).join('/') || '.';
      byId.set(id, { id, path: clean, type, metadata: metadata ?? {} });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      warnings.push(`${where} (${quote(id)}) is omitted: ${error.message}`);
    }
  });
  return { entries: [...byId.values()], warnings };
}

function fitsMetadata(metadata: Record<string, unknown>): boolean {
  try {
    return JSON.stringify(metadata).length <= maxMetadataBytes;
  } catch (error) {
    // A million nested brackets can be parsed, but overflow the stack when converted back.
    if (error instanceof RangeError) return false;
    throw error;
  }
}

async function readText(folder: string): Promise<string> {
  const handle = await openConfined(folder, 'manifest.json');
  try {
    // Read one byte above the limit, so that a file that grows meanwhile still counts as too large.
    const buffer = Buffer.alloc(maxManifestBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > maxManifestBytes)
      throw new AppError('bad_request', `it is larger than ${maxManifestBytes} bytes`);
    const bytes = buffer.subarray(0, length);
    if (!isUtf8(bytes)) throw new AppError('bad_request', 'it is not UTF-8');
    // Some editors put a byte order mark first, which JSON.parse rejects.
    return bytes.toString().replace(/^\uFEFF/, '');
  } finally {
    await handle.close();
  }
}

function problemsOf(error: z.ZodError): string {
  return error.issues.slice(0, 5).map(issueText).join('; ');
}
