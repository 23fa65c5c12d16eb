import { AppError, type ErrorCode } from '../../errors.js';

/** The request to the storage, for the text of an error. */
export interface Asked {
  bucket: string;
  key?: string;
  endpoint: string;
  region: string;
}

/** The parts of a foreign error that are read; the rest may hold a signature and is dropped. */
interface Foreign {
  name: string;
  message: string;
  /** Errno name, for an error on the way to the storage. */
  errno: string | undefined;
  /** HTTP status, for an error that the storage answered. */
  status: number | undefined;
  region: string | undefined;
}

const notS3 = 'does not answer like an S3 service: check JR_B2_ENDPOINT';

/**
 * Turns an error of the SDK into one of ours. The names are S3's
 * (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html); B2 and Ceph use them too. Only
 * `storage_unavailable` is worth another attempt.
 * @returns undefined for an error that came neither from the storage nor from the way to it
 */
export function storageError(error: unknown, asked: Asked): AppError | undefined {
  if (error instanceof AppError) return error;
  const foreign = readForeign(error);
  const { name, errno, status } = foreign;
  const known = status === undefined ? fromConnection(foreign, asked) : fromService(foreign, asked);
  if (known === undefined) return undefined;
  // The SDK's own error carries the signed request, so the log keeps its name only.
  const cause = new Error(
    status === undefined ? `${name} ${errno ?? ''}` : `${name} (HTTP ${status})`,
  );
  return new AppError(...known, { cause });
}

function fromService(error: Foreign, asked: Asked): [ErrorCode, string] {
  const { bucket, key, region } = asked;
  const host = hostOf(asked);
  const what = `s3://${bucket}/${key ?? ''}`;
  switch (error.name) {
    case 'NoSuchBucket':
      return ['storage_not_found', `${bucket}: no such bucket at ${host}`];
    case 'NoSuchKey':
      return ['storage_not_found', `${what}: no such object in the bucket`];
    case 'InvalidBucketName':
      return ['bad_request', `${bucket}: not a bucket name`];
    case 'InvalidAccessKeyId':
      return ['storage_denied', `${host} does not know the key ID: check JR_B2_KEY_ID`];
    case 'SignatureDoesNotMatch':
      return [
        'storage_denied',
        `${host} rejects the signature: check JR_B2_APP_KEY (requests are signed for region ${region})`,
      ];
    case 'AccessDenied':
      // B2 answers so when the owner's daily cap is used up.
      return /cap exceeded/i.test(error.message)
        ? ['storage_denied', `${what}: the account's download or transaction cap is used up`]
        : [
            'storage_denied',
            `${what}: access denied; the key in JR_B2_KEY_ID must be allowed to read and list this bucket`,
          ];
    case 'PermanentRedirect':
    case 'TemporaryRedirect':
    case 'AuthorizationHeaderMalformed':
    case 'IllegalLocationConstraintException':
    case 'InvalidRegionName':
      return ['storage_denied', wrongRegion(error, asked)];
    case 'PreconditionFailed':
    case 'InvalidRange':
      return ['conflict', changed(what)];
    case 'InvalidObjectState':
      return ['unprocessable', `${what}: is in an archive tier; restore it first`];
    case 'RequestTimeTooSkewed':
      return ['storage_unavailable', `${host} says that this machine's clock is wrong`];
  }
  const status = error.status ?? 0;
  if (status === 301 || status === 307) return ['storage_denied', wrongRegion(error, asked)];
  if (status === 404) return ['storage_not_found', `${what}: not found`];
  if (status === 412 || status === 416) return ['conflict', changed(what)];
  if (status === 429 || status >= 500 || error.name === 'SlowDown')
    return ['storage_unavailable', `${host} is overloaded or failing (HTTP ${status}); try later`];
  if (status >= 400) {
    const reason = /^[A-Za-z0-9.]{1,60}$/.test(error.name) ? `${error.name}, ` : '';
    return ['storage_denied', `${what}: rejected by ${host} (${reason}HTTP ${status})`];
  }
  return ['storage_unavailable', `${host} ${notS3}`];
}

function fromConnection({ name, errno }: Foreign, asked: Asked): [ErrorCode, string] | undefined {
  const host = hostOf(asked);
  const unavailable = (why: string): [ErrorCode, string] => ['storage_unavailable', why];
  if (name === 'TimeoutError' || errno === 'ETIMEDOUT')
    return unavailable(`${host} does not answer in time; check JR_B2_ENDPOINT and the network`);
  if (errno === undefined) return undefined;
  if (errno === 'ENOTFOUND' || errno === 'EAI_AGAIN')
    return unavailable(`${host}: the name does not resolve; check JR_B2_ENDPOINT and the DNS`);
  if (errno === 'ECONNREFUSED')
    return unavailable(`${host}: nothing listens there; check JR_B2_ENDPOINT`);
  if (errno === 'ECONNRESET' || errno === 'EPIPE')
    return unavailable(`${host} broke off the connection`);
  if (['EHOSTUNREACH', 'ENETUNREACH', 'ECONNABORTED'].includes(errno))
    return unavailable(`${host} cannot be reached (${errno})`);
  if (/CERT|SELF_SIGNED|^ERR_TLS|^ERR_SSL|^EPROTO$/.test(errno))
    return unavailable(`${host}: its TLS certificate is not accepted (${errno})`);
  if (errno.startsWith('HPE_')) return unavailable(`${host} ${notS3}`);
  return undefined;
}

/** Describes an object that changed since it was first read. */
export function changed(what: string): string {
  return `${what}: changed while it was being imported; start the import again`;
}

function wrongRegion(error: Foreign, { bucket, region }: Asked): string {
  const right = error.region !== undefined && error.region !== region ? error.region : undefined;
  const remedy = right
    ? `set JR_B2_REGION=${right} (and JR_B2_ENDPOINT to that region's)`
    : "set JR_B2_REGION and JR_B2_ENDPOINT to the bucket's own";
  return `${bucket}: not in region ${region}: ${remedy}`;
}

function readForeign(error: unknown): Foreign {
  const given = (error ?? {}) as {
    name?: unknown;
    message?: unknown;
    code?: unknown;
    $metadata?: { httpStatusCode?: number };
    $response?: { headers?: Record<string, string> };
    Region?: unknown;
  };
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const region = text(given.Region ?? given.$response?.headers?.['x-amz-bucket-region']);
  return {
    name: text(given.name) ?? 'Error',
    message: text(given.message) ?? '',
    errno: text(given.code),
    status: given.$metadata?.httpStatusCode,
    // The text comes from another machine, so repeat only what looks like a region.
    region: region !== undefined && /^[a-z0-9-]{1,40}$/.test(region) ? region : undefined,
  };
}

function hostOf({ endpoint }: Asked): string {
  return new URL(endpoint).host;
}
