/**
 * Ask the server every few seconds while somebody looks.
 */

const LONGEST_PAUSE_SECONDS = 60;

/** Repeat an asynchronous function until `stop()`; failures make the pauses longer, a hidden page ends them. */
export class Poll {
  #ask;
  #seconds;
  #pause;
  #timer = null;
  #running = null;
  #stopped = false;

  constructor(ask, seconds) {
    this.#ask = ask;
    this.#seconds = this.#pause = seconds;
    document.addEventListener("visibilitychange", this.#look);
  }

  /** Ask now; return when the answer has been shown. */
  now() {
    clearTimeout(this.#timer);
    this.#running ??= this.#once().finally(() => {
      this.#running = null;
      if (!this.#stopped && !document.hidden && Number.isFinite(this.#pause)) this.#timer = setTimeout(() => this.now(), this.#pause * 1000);
    });
    return this.#running;
  }

  /** Ask no more; an answer under way is dropped by whoever asked. */
  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#look);
  }

  #look = () => {
    clearTimeout(this.#timer);
    if (!document.hidden) this.now();
  };

  async #once() {
    const succeeded = await this.#ask();
    this.#pause = succeeded ? this.#seconds : Math.min(this.#pause * 2, LONGEST_PAUSE_SECONDS);
  }
}
