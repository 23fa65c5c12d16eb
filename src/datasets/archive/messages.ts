import type { ErrorCode } from '../../errors.js';

/**
 * The packing of the uploaded file, by its content. A bare `gz`, `xz`, … held one file that is not
 * a tar.
 */
export type ArchiveFormat =
  'tar' | 'tar.gz' | 'tar.bz2' | 'tar.xz' | 'tar.lzma' | 'tar.zst' | Compression | 'zip' | 'file';

export type Compression = 'gz' | 'bz2' | 'xz' | 'lzma' | 'zst';

export interface ExtractLimits {
  /** Most bytes of all files together, holes counted; 0 leaves the free disk as the only limit. */
  maxBytes: number;
  /** Most entries (files, folders and links; a replacement counts again); 0 means no limit. */
  maxFiles: number;
  /** Bytes that the archive's owner may still store; left out for any number. */
  roomBytes?: number | undefined;
}

export interface ExtractResult {
  format: ArchiveFormat;
  /** Files and links in the tree; folders are not counted. */
  files: number;
  /** Sum of the files' sizes, holes counted. */
  bytes: number;
}

export interface ExtractProgress {
  files: number;
  bytes: number;
}

/** The request to the extractor process, sent once over its IPC channel. */
export interface ExtractRequest {
  archivePath: string;
  treeDir: string;
  limits: ExtractLimits;
  originalName?: string | undefined;
  fileGroup?: number | undefined;
  durable: boolean;
}

/** An answer: any number of `progress`, then one of the others. */
export type ExtractorMessage =
  | ({ kind: 'progress' } & ExtractProgress)
  | { kind: 'done'; result: ExtractResult }
  | {
      kind: 'failed';
      /** Absent for a failure of the service or the machine. */
      code?: ErrorCode | undefined;
      message: string;
      details?: Record<string, unknown> | undefined;
      stack?: string | undefined;
    };

/** Reports progress; called often. */
export type Report = (files: number, bytes: number) => void;
