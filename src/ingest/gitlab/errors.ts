/**
 * A final failure of a request to GitLab. The message contains no token and no control character.
 */
export class GitLabError extends Error {
  override readonly name: string = 'GitLabError';
  /** GitLab’s HTTP status; undefined without a reply. */
  readonly status: number | undefined;
  /** GitLab’s own message; empty if it gave none. */
  readonly words: string;

  constructor(
    message: string,
    { status, words = '', cause }: { status?: number; words?: string; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.words = words;
  }
}

export class NoTokenProvidedError extends GitLabError {
  override readonly name = 'NoTokenProvidedError';

  constructor() {
    super('No GitLab token provided: set GITLAB_TOKEN, or give --token');
  }
}

/**
 * 401: the token is invalid. 403: the token lacks a permission, in general or for one project.
 * Never retried.
 */
export class GitLabAuthenticationError extends GitLabError {
  override readonly name = 'GitLabAuthenticationError';
}

/** No usable reply after all retries: no connection, no reply in time, 5xx or 429. */
export class GitLabConnectionError extends GitLabError {
  override readonly name = 'GitLabConnectionError';
  /** Whether a retry would fail in the same way, so that none is made. */
  readonly isFinal: boolean;

  constructor(
    message: string,
    {
      isFinal = false,
      ...options
    }: ConstructorParameters<typeof GitLabError>[1] & { isFinal?: boolean } = {},
  ) {
    super(message, options);
    this.isFinal = isFinal;
  }
}

/** 404: the object does not exist or is hidden from this token; GitLab does not tell which. */
export class GitLabNotFoundError extends GitLabError {
  override readonly name = 'GitLabNotFoundError';
}

/** The file to create already exists and is not ours. */
export class GitLabFileExistsError extends GitLabError {
  override readonly name = 'GitLabFileExistsError';
}

/** The file to update was changed or removed since it was read. */
export class GitLabFileChangedError extends GitLabError {
  override readonly name = 'GitLabFileChangedError';
}
