import type { ErrorCode } from '../../errors.js';

/** How the uploaded file was packed, by its content. A bare `gz`, `xz`, … held one file that is not a tar. */
export type ArchiveFormat =
  'tar' | 'tar.gz' | 'tar.bz2' | 'tar.xz' | 'tar.lzma' | 'tar.zst' | Compression | 'zip' | 'file';

export type Compression = 'gz' | 'bz2' | 'xz' | 'lzma' | 'zst';

export interface ExtractLimits {
  /** Most bytes all files may have together, holes counted; 0 = no limit but the free disk. */
  maxBytes: number;
  /** Most entries (files, folders and links; one that replaces another counts again); 0 = no limit. */
  maxFiles: number;
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

/** What the extractor process is asked, once, over its IPC channel. */
export interface ExtractRequest {
  archivePath: string;
  treeDir: string;
  limits: ExtractLimits;
  originalName?: string | undefined;
  fileGroup?: number | undefined;
  durable: boolean;
}

/** What it says: any number of `progress`, then one of the others. */
export type ExtractorMessage =
  | ({ kind: 'progress' } & ExtractProgress)
  | { kind: 'done'; result: ExtractResult }
  | {
      kind: 'failed';
      /** Absent for a fault of ours or of the machine. */
      code?: ErrorCode | undefined;
      message: string;
      details?: Record<string, unknown> | undefined;
      stack?: string | undefined;
    };

/** Tells how far the work is; called often. */
export type Report = (files: number, bytes: number) => void;
