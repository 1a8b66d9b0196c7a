/// <reference types="node" />

import type { Duplex } from 'node:stream'

declare global {
  // Older libraries of TypeScript and Node.js do not declare these.
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol
    readonly dispose: unique symbol
  }
}

/**
 * Peer-to-peer networking without a broker. See the README for a first program.
 */
declare namespace smoke {
  /**
   * Creates a node; `start()` brings it into the network. Throws a {@link OptionError} when an
   * option is missing or bad.
   *
   * The application may name the events it sends, and both ends are then checked:
   *
   * ```ts
   * const node = createNode<{ chat: [nick: string, line: string] }>({ address: '127.0.0.1' })
   * node.broadcast.on('chat', (nick, line) => console.log(nick, line))
   * node.broadcast.emit('chat', 'anna', 'hello')
   * ```
   */
  function createNode<M extends EventMap<M> = AnyEvents>(options: Options): Node<M>

  /**
   * This machine's address in a subnet: `'192.168.2.1/255.255.255.0'`, `'192.168.2.0/24'` or an
   * IPv6 network such as `'fd00::/8'`. Throws an error that lists the addresses it saw when none
   * is in it.
   */
  function localIp(subnet: string): string

  // For `instanceof`; nodes come from createNode, and their parts from them.
  const Node: Constructor<Node>
  const Peerlist: Constructor<Peerlist>
  const Peer: Constructor<Peer>
  const Broadcast: Constructor<Broadcast>

  /** What went wrong while the program ran. A mistake in a call is a TypeError or RangeError. */
  class SmokeError extends Error {
    private constructor()
    readonly code: ErrorCode
  }

  /** The codes of this package's errors; the README says what each one means. */
  type ErrorCode =
    | 'ERR_SMOKE_ARGUMENT'
    | 'ERR_SMOKE_BAD_EVENT'
    | 'ERR_SMOKE_CLOSED'
    | 'ERR_SMOKE_ID'
    | 'ERR_SMOKE_LOST'
    | 'ERR_SMOKE_NETWORK'
    | 'ERR_SMOKE_NO_ADDRESS'
    | 'ERR_SMOKE_NO_BINARY'
    | 'ERR_SMOKE_NOT_ALLOWED'
    | 'ERR_SMOKE_OPTION'
    | 'ERR_SMOKE_OVERLOADED'
    | 'ERR_SMOKE_REFUSED'
    | 'ERR_SMOKE_RUNNING'
    | 'ERR_SMOKE_SECRET'
    | 'ERR_SMOKE_SELF'
    | 'ERR_SMOKE_STOPPED'
    | 'ERR_SMOKE_SUBNET'
    | 'ERR_SMOKE_TIMEOUT'
    | 'ERR_SMOKE_TOO_LARGE'

  /** What `createNode` throws for a missing or bad option: a TypeError or RangeError. */
  interface OptionError extends Error {
    readonly code: 'ERR_SMOKE_OPTION'
    /** The name of the option, such as `port` or `seeds[0].address`. */
    readonly option: string
  }

  /** What an application's map of events looks like: the arguments of each, by its name. */
  type EventMap<M> = { [K in keyof M]: readonly unknown[] }

  /** The arguments of one event. */
  type Arguments<M, K extends keyof M> = M[K] extends readonly unknown[] ? M[K] : never

  /** The map of an application that does not type its events. */
  // biome-ignore lint/suspicious/noExplicitAny: what came over the network can be anything
  type AnyEvents = Record<string, any[]>

  interface Options {
    /** The address other nodes reach this one at: an IP literal. Required. See {@link localIp}. */
    address: string
    /** The TCP port to listen on. Default 0: any free one; `options.port` tells which. */
    port?: number | undefined
    /** How many peers the node actively seeks. Default 3, or `maxPeerNo` if that is less. */
    minPeerNo?: number | undefined
    /**
     * How many peers it accepts at most; `Infinity` for no limit. Default 5, or `minPeerNo` if that
     * is more.
     */
    maxPeerNo?: number | undefined
    /** Known nodes to enter the network through; see docs/seeds.md. Default none. */
    seeds?: readonly Address[] | undefined
    /**
     * The name of the network, 1 to 64 bytes. Nodes of another name, or without one, are refused. It
     * keeps applications apart that share addresses; it is not a secret. Older versions know no
     * names. Default null: none.
     */
    network?: string | null | undefined
    /** After how long without an answer a seed counts as lost, in milliseconds. Default 3000. */
    pingTimeout?: number | undefined
    /** The largest message that is sent or taken, in bytes. Default 4 MiB; 1 KiB to 64 MiB. */
    maxMessageSize?: number | undefined
    /**
     * What becomes of a receiver that handles messages more slowly than this node sends them.
     * `'wait'`, the default: `emit` and `write` return false until it has caught up, so that a
     * sender that waits for `'drain'` loses nothing. `'drop'`: nobody waits for it, and it loses what
     * does not fit into its memory (`'lost'`) or its links (`'skipped'`).
     */
    slowReceivers?: 'wait' | 'drop'
    /**
     * For how long a receiver may handle nothing at all before nobody waits for it any more, in
     * milliseconds; 100 to `Infinity`. Default 10000: a node that is dead is found out after 6 s, so
     * this is for one that lives and hangs.
     */
    slowReceiverTimeout?: number
    /**
     * Closes the network: what all its nodes share, 32 random bytes or a passphrase. Everything is
     * then encrypted, and nodes without it, older versions among them, stay outside. Passphrases
     * can be guessed; random bytes cannot. Not kept in {@link Node.options}.
     */
    secret?: string | Uint8Array | undefined
    /**
     * With a `secret`, the node's private key, from which its id follows: 32 random bytes, or the
     * path of a file that holds it and is made if there is none. Default: another for each node.
     * No two nodes may have the same. Not kept in {@link Node.options}.
     */
    identity?: string | Uint8Array | undefined
    /**
     * The networks, such as `'10.0.0.0/8'`, and addresses that may connect and are dialled. Default
     * none, which means all.
     */
    allow?: readonly string[] | undefined
    /** Bounds on what others can make the node spend. */
    limits?: Limits | undefined
    /** Where the node logs to. Default nowhere. A level that is absent costs nothing. */
    logger?: Logger | undefined
  }

  /** What others can make a node spend. `node.stats()` tells how often a limit was reached. */
  interface Limits {
    /** From connection to handshake, and from handshake to its answer, in ms. Default 5000. */
    handshakeTimeout?: number | undefined
    /** From dialling to a connection, in ms. Default 3000. */
    dialTimeout?: number | undefined
    /** Connections that have not become peers. Default 256. */
    maxUnconnected?: number | undefined
    /** The same of one address; those of this machine do not count. Default 4. */
    maxUnconnectedPerAddress?: number | undefined
    /**
     * Connections that are accepted per second; twice as many at once. Default 1000. What is more
     * waits until it is its turn.
     */
    connectionsPerSecond?: number | undefined
    /** Encrypted handshakes that are computed per second; twice as many at once. Default 200. */
    handshakesPerSecond?: number | undefined
    /**
     * Bytes that wait for one peer, and bytes that receivers may be behind before `emit` returns
     * false. Default 8 MiB; 64 KiB to 1 GiB.
     */
    queuePerPeer?: number | undefined
    /** Dials that others cause, at the same time. Default 8. */
    maxDials?: number | undefined
    /** Dials that others cause, per second; twice as many at once. Default 4. */
    dialsPerSecond?: number | undefined
    /** Requests for peers that are taken from one peer, per second. Default 10. */
    peerRequestsPerSecond?: number | undefined
    /** Pings that are answered per second. Default 10. */
    pongsPerSecond?: number | undefined
    /**
     * Bytes of one peer's broadcasts that are passed on to others, per second; what is more is read
     * later. Default 128 MiB, which is about a gigabit; 1 KiB to 10^12.
     */
    relayedBytesPerSecond?: number | undefined
  }

  /** A connection that was refused or closed for the sake of the network's security. */
  interface Refusal extends Address {
    /**
     * `plaintext`: not encrypted, and this node has a secret; `encrypted`: the opposite; `secret`:
     * another secret; `identity`: an id that does not belong to its key; `corrupted`: changed on its
     * way; `address`: not in the option `allow`; `crowded`: more handshakes than the limit;
     * `network`: another name of the network; `id`: the id of this node, or none at all.
     */
    reason:
      | 'address'
      | 'corrupted'
      | 'crowded'
      | 'encrypted'
      | 'id'
      | 'identity'
      | 'network'
      | 'plaintext'
      | 'secret'
  }

  /** What the attempts to enter the network through a seed have come to. */
  interface SeedOutcome extends Address {
    /**
     * `refused`: nothing listens there; `no answer`, `unreachable`, `unknown name`; `secret`,
     * `network`: its secret or its network's name is another; `not allowed`: not in the option
     * `allow`; `not smokesignal`: it speaks something else; `closed`: it closed the connection
     * without a word, as a node with a secret does when this one has none, or a full one of 0.x; `id`: it has the id of this node; `asked`: it was asked for
     * peers, and none has come yet; `full`: it has no room, and told of others; `failed`: anything
     * else; `not tried`: its turn has not come; `peer`: it was a peer and has gone.
     */
    reason:
      | 'asked'
      | 'closed'
      | 'failed'
      | 'full'
      | 'id'
      | 'network'
      | 'no answer'
      | 'not allowed'
      | 'not smokesignal'
      | 'not tried'
      | 'peer'
      | 'refused'
      | 'secret'
      | 'unknown name'
      | 'unreachable'
  }

  /** Another node that runs and takes itself for this one. */
  interface Conflict extends Address {
    /** What it has in common with this node: its id, or the address that others are to dial. */
    what: 'address' | 'id'
    /** The other node's id. */
    id: string
  }

  /** Where a node listens. */
  interface Address {
    /** An IP literal or a host name. */
    address: string
    /** A TCP port. */
    port: number
  }

  /** Any logger with some of these methods will do: `console`, pino, log4js, … */
  interface Logger {
    trace?(...message: unknown[]): void
    debug?(...message: unknown[]): void
    info?(...message: unknown[]): void
    warn?(...message: unknown[]): void
    error?(...message: unknown[]): void
    fatal?(...message: unknown[]): void
  }

  /** The options of a node, with every default filled in. */
  type ResolvedOptions = Resolved<Omit<Options, 'secret' | 'identity' | 'limits' | 'seeds'>> & {
    limits: Resolved<Limits>
    seeds: Address[]
  }

  /** `T` with nothing left out. */
  type Resolved<T> = { [K in keyof T]-?: Exclude<T[K], undefined> }

  /**
   * The events of a {@link Node}. For events of the application's own on a node, it may declare more:
   *
   * ```ts
   * declare module 'smokesignal' {
   *   interface NodeEvents<M> {
   *     ready: [since: Date]
   *   }
   * }
   * ```
   */
  interface NodeEvents<M extends EventMap<M> = AnyEvents> {
    /** There is a first peer. */
    connect: []
    /** The last peer has gone. The node goes on looking for others. */
    disconnect: []
    /** A peer was added; the same as `'add'` of {@link Node.peers}. */
    'new peer': [peer: Peer<M>]
    /** A seed cannot be reached through the network any more. */
    netsplit: [seed: Address]
    /** A seed that was lost is back. */
    'netsplit resolved': [seed: Address]
    /**
     * The node has no peer: what the attempts to enter through each seed have come to. The first time
     * after 2 to 6 s, then whenever that changes, and once a minute. The node goes on trying.
     */
    outside: [seeds: SeedOutcome[]]
    /**
     * The node has peers, but a seed is in another part of the network, and neither has room for a
     * link to the other: see {@link Node.connected}. It goes on trying.
     */
    island: [seed: Address]
    /** That seed is in the same part of the network again. */
    'island resolved': [seed: Address]
    /** Another node that runs has the id of this node, or gives its address. */
    conflict: [conflict: Conflict]
    /**
     * So many broadcasts of the node `id` could not be had any more, from anybody: this node was
     * cut off for longer than others keep them (30 s, 32 MiB).
     */
    skipped: [gap: { id: string; count: number }]
    /** So many messages were dropped because this process did not handle them in time. */
    lost: [drop: { count: number }]
    /**
     * The node `id` has handled nothing for `slowReceiverTimeout`: this node's messages no longer
     * wait for it, until it goes on.
     */
    'slow receiver': [receiver: { id: string }]
    /** A broadcast of this node was not sent to the peer `id`, which takes no more than `limit` bytes. */
    oversized: [message: { id: string; size: number; limit: number }]
    /** A connection was refused. Of many in a row only some are told: ten at once, one a second. */
    refused: [refusal: Refusal]
    /** The node could not listen, for example `EADDRINUSE`. It can be started again. */
    error: [error: NodeJS.ErrnoException]
  }

  /** An operation that can be given up: it then fails with an `AbortError`. */
  interface Abortable {
    signal?: AbortSignal | null | undefined
  }

  /** Called when a dial has ended: with an error, or with null and the peer. */
  type DialCallback<M extends EventMap<M> = AnyEvents> = (
    error: NodeJS.ErrnoException | null,
    peer?: Peer<M>,
  ) => void

  /** One member of the network. */
  interface Node<M extends EventMap<M> = AnyEvents> extends TypedEmitter<NodeEvents<M>> {
    /**
     * The network-wide id. Random unless set before `start()`: any text of 1 to 512 bytes. Nodes of
     * 0.x do not hear broadcasts of one another when the id has a `-`. With the option `secret` it follows from `identity` and cannot be
     * set.
     */
    id: string
    readonly options: ResolvedOptions
    readonly logger: Logger
    /** Whether the node accepts connections. */
    readonly listening: boolean
    /**
     * Whether it is in the network: it has a peer, and no seed is known to be in another part of the
     * network (see the event `island`).
     */
    readonly connected: boolean
    /** The nodes this one has a link to. */
    readonly peers: Peerlist<M>
    /** The same object as {@link Node.peers}. */
    readonly peerlist: Peerlist<M>
    /** Everyone in the network but this node itself. */
    readonly broadcast: Broadcast<M>

    /**
     * Listens, and enters the network through the seeds. Keeps the process alive until `stop()`,
     * unless {@link unref} says otherwise. `signal` gives up a start that has not come about yet.
     * Resolves once the node listens, which is before it is in the network: for that, wait for
     * `'connect'`, as with `if (!node.connected) await once(node, 'connect')`. The first node of a
     * network waits there for the second. `'outside'` tells why a node does not get in. When the node
     * cannot listen, rejects and emits `'error'`; the promise
     * may be ignored, and so may the event if the promise is not.
     */
    start(options?: Abortable): Promise<void>
    /** Leaves the network and closes everything. May be called at any time, and `start()` after it. */
    stop(): Promise<void>
    /** The same as `stop()`, for `await using node = …`. */
    [Symbol.asyncDispose](): Promise<void>
    /** Keeps the process alive while the node runs; it does so from the beginning. */
    ref(): this
    /** Lets the process end although the node runs. */
    unref(): this
    /**
     * Dials a node, also beyond `minPeerNo`. Rejects or calls back with an error that has a `code`.
     * Before the first `start()`, waits for it. `signal` gives up the dial.
     */
    addPeer(address: string, port: number, options?: Abortable): Promise<Peer<M>>
    addPeer(address: string, port: number, callback: DialCallback<M>): Promise<Peer<M>>
    addPeer(
      address: string,
      port: number,
      options: Abortable | undefined,
      callback: DialCallback<M>,
    ): Promise<Peer<M>>
    /** What the node has counted since it started. */
    stats(): Stats
  }

  /** The events of a {@link Peerlist}. */
  interface PeerlistEvents<M extends EventMap<M> = AnyEvents> {
    /** There is a new peer. Comes before anything it sent. */
    add: [peer: Peer<M>]
    /** A peer has gone. Nothing of it comes after this. */
    remove: [peer: Peer<M>]
  }

  /** The nodes a node has a link to. */
  interface Peerlist<M extends EventMap<M> = AnyEvents> extends TypedEmitter<PeerlistEvents<M>> {
    readonly node: Node<M>
    /** Another array after each change, so that whoever loops over one may close peers. */
    readonly list: readonly Peer<M>[]
    /** The peer itself, or false. */
    inList(peer: Peer<M> | string): Peer<M> | false
    /** Whether there are `maxPeerNo` peers. */
    isFull(): boolean
    /** Whether there are `minPeerNo` peers. */
    isSufficientlyFilled(): boolean
    /** The ids of all peers. */
    dump(): string[]
    /** Closes every peer. */
    close(): this
  }

  /** The events of a channel that are local: its stream's, and word of room to send. */
  interface ChannelEvents {
    /** A stream chunk came: a Buffer, or a string after `setEncoding()`. */
    // biome-ignore lint/suspicious/noExplicitAny: as in Node's own stream types
    data: [chunk: any]
    /**
     * There is room again after `emit` or `write` returned false; also when the peer closes or the
     * node stops, with `peer.closed` or `node.listening` to tell.
     */
    drain: []
    /** Nothing more will come. */
    end: []
    close: []
    /** The stream failed, with an Error; or another node emitted `'error'`, with what it likes. */
    // biome-ignore lint/suspicious/noExplicitAny: see above
    error: any[]
    finish: []
    pause: []
    resume: []
    readable: []
    pipe: [source: NodeJS.ReadableStream]
    unpipe: [source: NodeJS.ReadableStream]
    newListener: [event: string | symbol, listener: (...args: never[]) => void]
    removeListener: [event: string | symbol, listener: (...args: never[]) => void]
  }

  /**
   * A way to other nodes. `emit` goes to them and never to local listeners; `on` hears what they
   * emitted. It carries a byte stream besides, and can be used wherever a duplex stream can.
   * Nothing is kept for a stream that nobody reads.
   */
  interface Channel<M extends EventMap<M> = AnyEvents> extends NodeJS.ReadWriteStream {
    readonly node: Node<M>
    /** The byte stream as a real `stream.Duplex`; the stream methods here delegate to it. */
    readonly stream: Duplex

    /**
     * Sends an event to the other side, whatever its name. JSON semantics; Buffers and typed
     * arrays arrive as Buffers. Arrays and objects may nest 999 deep in an argument. Throws when
     * something cannot be serialised or nothing more is taken (see the error codes in the README).
     * Returns whether there is room: after false, wait for `'drain'`.
     */
    emit<K extends keyof M & string>(event: K, ...args: Arguments<M, K>): boolean
    /** What `Readable#pipe` tells its destination; stays local. */
    emit(event: 'pipe' | 'unpipe', source: NodeJS.ReadableStream): boolean

    on: Listen<M, this>
    once: Listen<M, this>
    off: Listen<M, this>
    addListener: Listen<M, this>
    removeListener: Listen<M, this>
    prependListener: Listen<M, this>
    prependOnceListener: Listen<M, this>

    readonly allowHalfOpen: boolean
    readonly destroyed: boolean
    readonly errored: Error | null
    readonly readableEncoding: BufferEncoding | null
    readonly readableEnded: boolean
    readonly readableFlowing: boolean | null
    readonly readableHighWaterMark: number
    readonly readableLength: number
    readonly writableCorked: number
    readonly writableEnded: boolean
    readonly writableFinished: boolean
    readonly writableHighWaterMark: number
    readonly writableLength: number
    readonly writableNeedDrain: boolean
    cork(): void
    uncork(): void
    destroy(error?: Error): this
  }

  /** `on` and its kin: an event of the application's map, or a local one. */
  interface Listen<M extends EventMap<M>, Self> {
    <K extends keyof M & string>(
      event: K,
      listener: (this: Self, ...args: Arguments<M, K>) => void,
    ): Self
    <K extends keyof ChannelEvents>(
      event: K,
      listener: (this: Self, ...args: ChannelEvents[K]) => void,
    ): Self
    /** `errorMonitor`. */
    // biome-ignore lint/suspicious/noExplicitAny: as of any EventEmitter
    (event: symbol, listener: (this: Self, ...args: any[]) => void): Self
  }

  /** Everyone in the network but the node itself. */
  interface Broadcast<M extends EventMap<M> = AnyEvents> extends Channel<M> {
    /** Whether its stream is closed. */
    readonly closed: boolean
  }

  /** One node this one has a link to. */
  interface Peer<M extends EventMap<M> = AnyEvents> extends Channel<M> {
    /** Its network-wide id. */
    readonly id: string
    readonly remoteAddress: string
    readonly remotePort: number
    readonly closed: boolean
    readonly socket: PeerSocket
    /** Cuts the link. `'close'` and `'end'` follow; `destroy()` does the same. */
    close(): void
    /** The same as `close()`, for `using peer = …`. */
    [Symbol.dispose](): void
    [Symbol.asyncDispose](): Promise<void>
  }

  /**
   * What remains of the nssocket that a peer had in 0.x: messages under a path of the
   * application's own. A path is an array of strings, or a string with `::` between the parts;
   * `*` listens for any one part.
   */
  interface PeerSocket extends NodeJS.EventEmitter {
    readonly remoteAddress: string
    readonly remotePort: number
    readonly host: string
    readonly port: number
    readonly connected: boolean
    /** Sends `data` under `path`; whether there is room for more. */
    send(
      path: string | readonly string[],
      data?: unknown,
      callback?: (error?: SmokeError) => void,
    ): boolean
    /** Calls `listener` with the data of every message under `path`. */
    data(path: string | readonly string[], listener: (data: unknown) => void): this
    /** The same, once. */
    dataOnce(path: string | readonly string[], listener: (data: unknown) => void): this
    /** Takes a listener off again. */
    undata(path: string | readonly string[], listener: (data: unknown) => void): this
    /** Closes the peer. */
    end(): void
    /** Closes the peer. */
    destroy(): void
  }

  /**
   * Counters since `start()`, in messages unless they say otherwise; up to a second old. More may
   * be added.
   */
  interface Stats {
    /** Broadcasts of this node. */
    readonly sent: number
    /** Broadcasts of others that were for this node's application. */
    readonly delivered: number
    /** Copies of others' broadcasts that were sent on to a peer. */
    readonly forwarded: number
    /** Broadcasts that came a second time and were not delivered again. */
    readonly duplicates: number
    /** Broadcasts that could not be had any more when their turn came. */
    readonly skipped: number
    /** Broadcasts that came ahead of a gap and were held back. */
    readonly held: number
    /** Gaps that were closed by asking a peer. */
    readonly repaired: number
    /** Ranges that were asked of a peer. */
    readonly grafts: number
    /** Peers that were told not to push an origin's broadcasts. */
    readonly prunes: number
    /** Direct messages sent to peers. */
    readonly directSent: number
    /** Receivers that handled nothing for so long that this node's messages no longer wait for them. */
    readonly slowReceivers: number
    /** Broadcasts that were not sent to a peer because it takes none so large, once for each peer. */
    readonly oversized: number
    /** Direct messages received from peers. */
    readonly directReceived: number
    /** Messages that a legacy peer was spared because they would crash it. */
    readonly withheld: number
    /** Messages that were refused: wrong hash, wrong shape, not JSON. */
    readonly rejected: number
    /** Connections that were made, or tried. */
    readonly dials: number
    /** Connections that others asked for and a limit refused. */
    readonly dialsRefused: number
    /** Addresses of others that were to be passed on, and that a limit refused. */
    readonly relaysRefused: number
    /** Connections, made or accepted, that did not shake hands in time. */
    readonly handshakeTimeouts: number
    /** Times that the floods of a misbehaving peer were no longer passed on. */
    readonly muted: number
    /** Messages of such peers that were ignored. */
    readonly ignoredOfMuted: number
    /** Connections that were closed for misbehaviour. */
    readonly misbehaved: number
    /** Members of the network, now, without this node. */
    readonly members: number
    /** Records kept now: of all members, and for a minute of nodes that cannot be reached. */
    readonly records: number
    /** Records of others that a limit refused. */
    readonly recordsRefused: number
    /** Messages passed on from one member to another. */
    readonly routed: number
    /** Messages sent to members. */
    readonly routedSent: number
    /** Messages received from members. */
    readonly routedReceived: number
    /** Messages of members that were lost on their way, or that this node could not pass on. */
    readonly routedLost: number
    /** Refused: not encrypted, and this node has a secret. */
    readonly refusedPlaintext: number
    /** Refused: encrypted, and this node has no secret. */
    readonly refusedEncrypted: number
    /** Refused: another secret. */
    readonly refusedSecret: number
    /** Dials that the other side ended in the handshake: it has no secret, or another. */
    readonly unanswered: number
    /** Refused: an id that does not belong to its key. */
    readonly refusedIdentity: number
    /** Closed because a message was changed, repeated or left out on its way. */
    readonly corrupted: number
    /** Refused, or not dialled: an address that is not in the option `allow`. */
    readonly refusedAddress: number
    /** Refused or closed: more than `maxUnconnected` or `handshakesPerSecond`. */
    readonly refusedCrowded: number
    /** Refused: more than `maxUnconnectedPerAddress`. */
    readonly refusedPerAddress: number
    /** Times that no more connections were accepted for a while because of `connectionsPerSecond`. */
    readonly crowds: number
    /** Reads that were put off because of `relayedBytesPerSecond`. */
    readonly slowed: number
    /** Connections that have not become peers, right now. */
    readonly unconnected: number
    /** The limits in force. */
    readonly limits: Resolved<Limits>
    /** Each peer's link, right now. */
    readonly links: readonly LinkStats[]
    /** Messages that were handed to this node's listeners. */
    readonly crossed: number
    /** Messages that nobody listened for. */
    readonly unheard: number
    /** Messages that were dropped because JavaScript did not take them in time. */
    readonly lost: number
    /** Bytes of messages that wait for JavaScript right now. */
    readonly waitingBytes: number
    /** Messages whose text was not an event, and that were dropped. */
    readonly unreadable: number
    /** Log lines that were dropped because too many waited. */
    readonly logLinesLost: number
  }

  interface LinkStats {
    /** The peer's id. */
    readonly id: string
    /** Whether the peer speaks this package's own wire format; older versions do not. */
    readonly native: boolean
    /** Bytes that wait to be written to it. */
    readonly queuedBytes: number
  }

  type Constructor<T> = (abstract new (...args: never) => T) & { readonly prototype: T }

  /** An EventEmitter whose events are known. */
  interface TypedEmitter<E extends { [K in keyof E]: unknown[] }> extends NodeJS.EventEmitter {
    on<K extends keyof E & string>(event: K, listener: (this: this, ...args: E[K]) => void): this
    once<K extends keyof E & string>(event: K, listener: (this: this, ...args: E[K]) => void): this
    off<K extends keyof E & string>(event: K, listener: (this: this, ...args: E[K]) => void): this
    addListener<K extends keyof E & string>(
      event: K,
      listener: (this: this, ...args: E[K]) => void,
    ): this
    removeListener<K extends keyof E & string>(
      event: K,
      listener: (this: this, ...args: E[K]) => void,
    ): this
    prependListener<K extends keyof E & string>(
      event: K,
      listener: (this: this, ...args: E[K]) => void,
    ): this
    prependOnceListener<K extends keyof E & string>(
      event: K,
      listener: (this: this, ...args: E[K]) => void,
    ): this
    emit<K extends keyof E & string>(event: K, ...args: E[K]): boolean
  }
}

export = smoke
