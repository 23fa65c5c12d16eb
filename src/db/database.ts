import SqliteDatabase from 'better-sqlite3';
import { migrations } from './migrations/index.js';

export type Database = SqliteDatabase.Database;

/**
 * Opens (or makes) the database and brings it to the newest schema. WAL with `synchronous=FULL`: a
 * job that was answered 201 survives a power cut (sqlite.org/pragma.html#pragma_synchronous).
 * @param alone on a shared file system: no other process may open it, so no memory is shared
 *   between machines (sqlite.org/wal.html, "Use of WAL Without Shared-Memory")
 * @throws Error when a newer version wrote the file, or another process has it open alone.
 */
export function openDatabase(path: string, alone = false): Database {
  const db = new SqliteDatabase(path);
  try {
    if (alone) db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    db.pragma('busy_timeout = 5000');
    migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Opens an existing database as it is, to read it; for example beside a running service. */
export function openToRead(path: string): Database {
  return new SqliteDatabase(path, { readonly: true, fileMustExist: true });
}

function migrate(db: Database): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  if (version > migrations.length)
    throw new Error(
      `the database has schema ${version}, this version only knows ${migrations.length}: use a newer JobRunner`,
    );
  migrations.slice(version).forEach((sql, i) => {
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${version + i + 1}`);
    })();
  });
}
