import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a test may choose about the program it starts. */
export interface LaunchOptions {
  /** Flags beside the port, the output folder and `--no-browser`. */
  flags?: string[];
  /** Environment, for example a simulated card. */
  env?: Record<string, string>;
  /** An output folder of an earlier start. */
  outputDir?: string;
  /** The port of an earlier start. */
  port?: number;
}

/** A note as the API gives it. */
export interface Note {
  code: string;
  field?: string | null;
  message: string;
}

/** A job as the API gives it; only what the tests look at. */
export interface Job {
  id: string;
  kind: 'generate' | 'format' | 'sample' | 'understand' | 'encode' | 'lyrics_timing' | 'score';
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted';
  notes: Note[];
  params: Record<string, unknown>;
  song_ids: string[];
  plan: { caption: string; lyrics: string; bpm: number | null } | null;
  next_job_id: string | null;
}

/** A song as the API gives it; only what the tests look at. */
export interface Song {
  id: string;
  job_id: string;
  title: string;
  duration_secs: number;
  seed: number;
  audio_format: string;
  plan?: { caption: string; bpm: number | null };
  audio_codes?: string;
  params: Record<string, unknown>;
}

/** The real program on a port of its own, with a folder of its own. */
export class Studio {
  private ended = false;

  private constructor(
    readonly url: string,
    readonly outputDir: string,
    private readonly child: ChildProcess,
    private readonly output: string[],
  ) {}

  static async launch(options: LaunchOptions = {}): Promise<Studio> {
    const binary = process.env.ACESTEP_BIN;
    if (!binary) throw new Error('ACESTEP_BIN names no program. Run `cargo xtask test`, which builds and names it.');
    const port = options.port ?? (await freePort());
    const outputDir = options.outputDir ?? mkdtempSync(join(tmpdir(), 'acestep-e2e-'));
    const flags = ['--port', `${port}`, '--no-browser', '--output-dir', outputDir, ...(options.flags ?? [])];
    const output: string[] = [];
    const child = spawn(binary, flags, {
      env: { ...environment(), ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    const studio = new Studio(`http://127.0.0.1:${port}`, outputDir, child, output);
    child.on('exit', () => (studio.ended = true));
    await studio.answers();
    return studio;
  }

  /** Where it listens. */
  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Everything the program printed. */
  log(): string {
    return this.output.join('');
  }

  /** Ends the program as the power cut does. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Ends the program and removes its folder. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.outputDir, { recursive: true, force: true });
  }

  async get<T>(path: string): Promise<T> {
    return this.call<T>('GET', path);
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return this.call<T>('POST', path, body);
  }

  async delete<T>(path: string): Promise<T> {
    return this.call<T>('DELETE', path);
  }

  /** Submits a run by the API. */
  async submit(params: Record<string, unknown>): Promise<Job> {
    return this.post<Job>('/api/v1/jobs', params);
  }

  /** The jobs, newest first. */
  async jobs(): Promise<Job[]> {
    return (await this.get<{ jobs: Job[] }>('/api/v1/jobs')).jobs;
  }

  /** The songs, newest first. */
  async songs(): Promise<Song[]> {
    return (await this.get<{ songs: Song[] }>('/api/v1/songs')).songs;
  }

  /** Waits until a job satisfies `wanted`, by asking; gives it. */
  async jobThat(id: string, wanted: (job: Job) => boolean, limitMs = 120_000): Promise<Job> {
    const end = Date.now() + limitMs;
    for (;;) {
      const job = await this.get<Job>(`/api/v1/jobs/${id}`);
      if (wanted(job)) return job;
      if (Date.now() > end) throw new Error(`job ${id} is ${job.state} after ${limitMs} ms\n${this.log()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  private async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.url + path, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  private async answers(): Promise<void> {
    const end = Date.now() + 60_000;
    while (!this.ended && Date.now() < end) {
      try {
        if ((await fetch(`${this.url}/api/v1/status`)).ok) return;
      } catch {
        // Not listening yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the studio did not start\n${this.log()}`);
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    if (this.ended) return;
    const gone = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
    this.child.kill(signal);
    const patience = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    await gone;
    clearTimeout(patience);
  }
}

/** Our own environment without what would change the program under test. */
function environment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !/^(ACESTEP_|MAX_(CUDA|MPS)_VRAM$|RUST_LOG$|LANGUAGE$|PORT$)/.test(name),
  );
  return Object.fromEntries(kept) as Record<string, string>;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
