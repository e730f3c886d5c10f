using Skep.Bpf.Programming;
using Skep.Bpf.Twin.Maps;

namespace Skep.Bpf.Twin;

/// <summary>The kernel as programs under a twin see it: a clock that moves when told, a CPU number, seeded chance, a task.</summary>
public sealed class TwinEnvironment : KernelEnvironment
{
    /// <summary>Where the clock starts unless told otherwise: one second, because programs use 0 for "never".</summary>
    public const ulong DefaultStart = 1_000_000_000;

    private readonly byte[] _comm = new byte[16];
    private readonly TwinTimers _timers;
    private readonly PinnedMemory _socket = new((ulong)System.Runtime.CompilerServices.Unsafe.SizeOf<SocketContext>());
    private ulong _now;
    private ulong _random;
    private uint _cpu;
    private int _commLength;

    internal TwinEnvironment(int cpus, ulong seed, ulong start, Lock gate)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(cpus);
        Cpus = cpus;
        _now = start;
        _timers = new TwinTimers(this, gate);
        _random = seed;
        TimeProvider = new TwinTimeProvider(this);
        SetTask(1, 1, "twin"u8);
    }

    /// <summary>Number of CPUs: values per entry of per-CPU maps.</summary>
    public int Cpus { get; }

    /// <summary>Key of the target that a program last redirected to by a map; null when it was all of them, or none yet.</summary>
    public uint? RedirectKey { get; set; }

    /// <summary>Answers of the routing table: gets the question, fills in interface and next hop. Without one nothing is forwarded.</summary>
    public RouteFinder? Routes { get; set; }

    /// <summary>TCP sockets of the host: gets addresses and ports of a packet, gives the state of its socket, or null. Without one there are none.</summary>
    public SocketFinder? TcpSockets { get; set; }

    /// <summary>The same clock for the user half: its timestamps are <see cref="KtimeNow"/>. Timers of it run on the system's clock.</summary>
    public TimeProvider TimeProvider { get; }

    /// <summary>The monotonic clock in nanoseconds; it may be set to any time. Timers that are due by then fire, each at its own time.</summary>
    public ulong KtimeNow
    {
        get => _now;
        set
        {
            if (_timers.NextDue <= value)
            {
                _timers.FireUntil(value);
            }

            _now = value;
        }
    }

    /// <summary>Timers of programs that are armed.</summary>
    public int ArmedTimers => _timers.Armed;

    /// <inheritdoc/>
    public override KernelTimers Timers => _timers;

    /// <summary>The CPU programs run on, below <see cref="Cpus"/>.</summary>
    public uint CurrentCpu
    {
        get => _cpu;
        set
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(value, (uint)Cpus);
            _cpu = value;
        }
    }

    /// <inheritdoc/>
    public override ulong KtimeNanoseconds => KtimeNow;

    /// <inheritdoc/>
    public override uint Cpu => _cpu;

    /// <inheritdoc/>
    public override ulong PidTgid => Task;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> Comm => _comm.AsSpan(0, _commLength);

    /// <summary>Address of the running task's struct, a <c>TaskStruct</c> in memory that stays; 0 when programs do not ask.</summary>
    public nint TaskAddress { get; set; }

    /// <summary>Addresses of the structs of the host's tasks, each a <c>TaskStruct</c> in memory that stays, in the order that programs see them; none unless set.</summary>
    public IReadOnlyList<nint> AllTasks { get; set; } = [];

    /// <inheritdoc/>
    public override IReadOnlyList<nint> Tasks => AllTasks;

    /// <summary>Number of the control group of the running task; 1, the root, unless set.</summary>
    public ulong TaskCgroupId { get; set; } = 1;

    /// <inheritdoc/>
    public override ulong CgroupId => TaskCgroupId;

    /// <summary>Addresses of the structs of the host's control groups, each a <c>Cgroup</c> in memory that stays, each before those below it; none unless set.</summary>
    public IReadOnlyList<nint> AllCgroups { get; set; } = [];

    /// <inheritdoc/>
    public override IReadOnlyList<nint> Cgroups => AllCgroups;

    /// <inheritdoc/>
    public override nint CurrentTask => TaskAddress != 0 ? TaskAddress : base.CurrentTask;

    /// <inheritdoc/>
    public override FibResult FindRoute(ref FibRoute route, FibFlags flags) => Routes?.Invoke(ref route, flags) ?? FibResult.NotForwarded;

    /// <inheritdoc/>
    public override unsafe SocketContext* FindTcp(void* tuple, uint size, ulong network, ulong flags)
    {
        if (TcpStateOf(tuple, size, network, flags) is not { } state)
        {
            return null;
        }

        *(SocketContext*)_socket.Address = new SocketContext { Family = size == sizeof(SocketTuple4) ? 2u : 10u, Type = 1, Protocol = 6, State = (uint)state };
        return (SocketContext*)_socket.Address;
    }

    /// <summary>State of the socket that <c>bpf_skc_lookup_tcp</c> finds; null for none.</summary>
    internal unsafe SocketState? TcpStateOf(void* tuple, uint size, ulong network, ulong flags) =>
        flags != 0 || (int)network >= 0 || (size != sizeof(SocketTuple4) && size != sizeof(SocketTuple6)) ? null : TcpSockets?.Invoke(new ReadOnlySpan<byte>(tuple, (int)size));

    private ulong Task { get; set; }

    /// <summary>Moves the clock on by <paramref name="time"/>, which is not negative.</summary>
    public void Advance(TimeSpan time)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(time, TimeSpan.Zero);
        KtimeNow += (ulong)time.Ticks * TimeSpan.NanosecondsPerTick;
    }

    /// <summary>Moves the clock on to <paramref name="ktime"/> nanoseconds; a time already past leaves it, as a monotonic clock does.</summary>
    public void AdvanceTo(ulong ktime) => KtimeNow = Math.Max(KtimeNow, ktime);

    /// <summary>Records of ring buffers that a program has reserved, by their addresses.</summary>
    internal Dictionary<nint, TwinRingStorage> Reserved { get; } = [];

    /// <inheritdoc/>
    public override unsafe void GiveRecord(void* record, bool keep)
    {
        if (!Reserved.Remove((nint)record, out var ring))
        {
            throw new InvalidOperationException("A record is given back that is not reserved; the verifier would refuse the program.");
        }

        ring.Give((byte*)record, keep);
    }

    /// <summary>Sets the clock, and nothing else.</summary>
    internal void SetClock(ulong now) => _now = now;

    /// <summary>Fires timers that are due already: those that a program set to now.</summary>
    internal void FireDue()
    {
        if (_timers.NextDue <= _now)
        {
            _timers.FireUntil(_now);
        }
    }

    /// <summary>Sets the running task: process and thread id, and the name, of which 15 bytes are kept.</summary>
    public void SetTask(uint processId, uint threadId, ReadOnlySpan<byte> comm)
    {
        Task = ((ulong)processId << 32) | threadId;
        _commLength = Math.Min(comm.Length, 15);
        comm[.._commLength].CopyTo(_comm);
    }

    /// <inheritdoc/>
    public override uint NextRandom()
    {
        // SplitMix64 (Steele, Lea, Flood 2014): any seed is good, and the sequence is the same everywhere.
        _random += 0x9E3779B97F4A7C15;
        var z = _random;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return (uint)((z ^ (z >> 31)) >> 32);
    }
}

/// <summary>A routing table, as <c>bpf_fib_lookup</c> asks it.</summary>
/// <param name="route">The question, and afterwards the answer.</param>
/// <param name="flags">How to look.</param>
public delegate FibResult RouteFinder(ref FibRoute route, FibFlags flags);

/// <summary>The TCP sockets of a host, as <c>bpf_skc_lookup_tcp</c> asks for them.</summary>
/// <param name="tuple">Source, destination and ports as the packet has them: 12 bytes for IPv4, 36 for IPv6.</param>
public delegate SocketState? SocketFinder(ReadOnlySpan<byte> tuple);
