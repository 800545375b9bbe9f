// queue.ts - who asks first. A browser has six connections to a host, and a dashboard a hundred
// questions: what is seen is asked before what is near, and what nobody waits for any more never.
export const AT_ONCE = 12;

interface Job { rank: () => number; order: number; signal: AbortSignal; begin: () => void }

let running = 0;
let count = 0;
const waiting: Job[] = [];

function next(): void {
  while (running < AT_ONCE && waiting.length) {
    let best = -1;
    let least = Infinity;
    for (let i = waiting.length - 1; i >= 0; i--) {
      const job = waiting[i]!;
      if (job.signal.aborted) {
        waiting.splice(i, 1);
        if (best > i) best--;
        continue;
      }
      const rank = job.rank();
      if (best < 0 || rank < least || (rank === least && job.order < waiting[best]!.order)) { // gone ones have an infinite rank
        least = rank;
        best = i;
      }
    }
    if (best < 0) return;
    running++;
    waiting.splice(best, 1)[0]!.begin();
  }
}

// Runs `what` when its turn comes; the least rank is first, and it is looked at then, not now.
export function inTurn<T>(what: () => Promise<T>, rank: () => number, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const gone = () => reject(signal.reason ?? new DOMException("given up", "AbortError"));
    if (signal.aborted) return gone();
    signal.addEventListener("abort", gone, { once: true });
    const begin = () => {
      what().then(resolve, reject).finally(() => {
        running--;
        signal.removeEventListener("abort", gone);
        next();
      });
    };
    waiting.push({ rank, order: count++, signal, begin });
    queueMicrotask(next); // those asked together are ordered first
  });
}
