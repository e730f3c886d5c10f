using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin.Maps;

namespace Skep.Bpf.Twin;

/// <summary>
/// Runs kernel programs in the process: the same objects and methods, over packets in plain memory, with maps that behave as the kernel's,
/// a clock that moves when told, and seeded chance. Programs that share maps run under the same twin.
/// </summary>
/// <remarks>
/// One packet is processed at a time. Maps may be read and written from other threads meanwhile: they wait for the packet in progress.
/// </remarks>
public sealed class TwinEngine : IDisposable
{
    private readonly Lock _gate = new();
    private readonly HashSet<BpfProgram> _programs = new(ReferenceEqualityComparer.Instance);
    private readonly List<BpfMap> _owned = [];
    private readonly PacketFrame _frame = new();
    private BpfProgram? _latest;
    private bool _isDisposed;

    /// <summary>A twin without programs.</summary>
    public TwinEngine(TwinOptions? options = null)
    {
        options ??= new TwinOptions();
        Environment = new TwinEnvironment(options.Cpus, options.Seed, options.Start, _gate);
    }

    /// <summary>Clock, CPU, chance and task that programs see; change it between packets.</summary>
    public TwinEnvironment Environment { get; }

    /// <summary>Maps this twin gave storage, in the order of binding; disposed of with the twin.</summary>
    public IReadOnlyList<BpfMap> Maps => _owned;

    /// <summary>Held while a program runs, and by the user side of maps.</summary>
    internal Lock Gate => _gate;

    /// <summary>Names the maps of <paramref name="program"/> and gives those without storage storage in the process.</summary>
    /// <exception cref="InvalidOperationException">A map has its storage in the kernel or under another twin.</exception>
    public void Bind(BpfProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        lock (_gate)
        {
            foreach (var map in ProgramGraph.Maps(program))
            {
                Bind(map);
            }

            _programs.Add(program);
        }
    }

    /// <summary>Gives <paramref name="map"/> storage in the process; nothing happens when it has some from this twin already.</summary>
    /// <exception cref="InvalidOperationException">The map has its storage in the kernel or under another twin.</exception>
    public void Bind(BpfMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (!map.IsBound)
            {
                map.Bind(TwinMapStorage.Create(map, Environment, _gate));
                _owned.Add(map);
                if (map is UntypedMap { InitialValue.IsEmpty: false } data)
                {
                    data.Storage.Write(BitConverter.GetBytes(0), data.InitialValue.Span, 0);
                }
            }
            else if (map.Storage is not TwinMapStorage storage)
            {
                throw new InvalidOperationException(
                    $"Map '{map.Name}' lives in the kernel. Give the twin a program object of its own, with maps of its own.");
            }
            else if (storage.Gate != _gate)
            {
                throw new InvalidOperationException(
                    $"Map '{map.Name}' belongs to another twin. Run programs that share maps under the same TwinEngine.");
            }
        }
    }

    /// <summary>Takes the storage of a map back before the twin goes; no program that uses the map may run any more. Nothing happens when it has none of this twin.</summary>
    public void Release(BpfMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        lock (_gate)
        {
            if (_owned.Remove(map))
            {
                map.Dispose();
            }
        }
    }

    /// <summary>Runs <paramref name="program"/> on a copy of <paramref name="packet"/>; binds it first when that has not happened.</summary>
    /// <returns>The verdict, and the packet as the program left it, valid until the next run.</returns>
    public XdpResult Run(XdpProgram program, ReadOnlySpan<byte> packet, scoped in XdpRunOptions options = default)
    {
        lock (_gate)
        {
            EnsureBound(program);
            var context = _frame.Load(packet, options.IngressInterface == 0 ? 1 : options.IngressInterface, options.RxQueue);
            var previous = KernelEnvironment.Exchange(Environment);
            try
            {
                var action = program.Run(ref context);
                return new XdpResult(action, _frame.Unload(in context));
            }
            finally
            {
                Leave(previous);
            }
        }
    }

    /// <summary>Runs <paramref name="program"/> on a copy of <paramref name="packet"/>; binds it first when that has not happened.</summary>
    /// <returns>The verdict, and the packet as the program left it, valid until the next run.</returns>
    public TcResult Run(TcProgram program, ReadOnlySpan<byte> packet, scoped in TcRunOptions options = default)
    {
        lock (_gate)
        {
            EnsureBound(program);
            var context = _frame.LoadTc(packet, in options);
            var previous = KernelEnvironment.Exchange(Environment);
            try
            {
                var action = program.Run(ref context);
                return new TcResult(action, in context);
            }
            finally
            {
                Leave(previous);
            }
        }
    }

    /// <summary>Runs <paramref name="program"/> on one event with the given 64-bit arguments; pointers among them must point to memory that stays.</summary>
    public unsafe void Run(RawTracepointProgram program, ReadOnlySpan<ulong> arguments)
    {
        fixed (ulong* words = arguments)
        {
            var context = new RawTracepointContext(words);
            Run(program, ref context);
        }
    }

    /// <summary>
    /// Runs a program of any kind on a context that the caller fills in and reads afterwards; pointers in it must point to memory that stays.
    /// </summary>
    /// <returns>The verdict.</returns>
    /// <exception cref="NotSupportedException">The program asks what only the kernel can answer.</exception>
    public TVerdict Run<TContext, TVerdict>(BpfProgram<TContext, TVerdict> program, ref TContext context)
    {
        lock (_gate)
        {
            EnsureBound(program);
            var previous = KernelEnvironment.Exchange(Environment);
            try
            {
                return program.Run(ref context);
            }
            finally
            {
                Leave(previous);
            }
        }
    }

    /// <summary>As the other, for programs without a verdict.</summary>
    /// <exception cref="NotSupportedException">The program asks what only the kernel can answer.</exception>
    public void Run<TContext>(EventProgram<TContext> program, ref TContext context)
    {
        lock (_gate)
        {
            EnsureBound(program);
            var previous = KernelEnvironment.Exchange(Environment);
            try
            {
                program.Run(ref context);
            }
            finally
            {
                Leave(previous);
            }
        }
    }

    /// <summary>
    /// Calls functions of <paramref name="table"/> in <paramref name="body"/> as the kernel would: with this twin's maps, clock and task. Pointers given to
    /// them point to views in memory that stays.
    /// </summary>
    public void Call(StructOps table, Action body)
    {
        ArgumentNullException.ThrowIfNull(body);
        lock (_gate)
        {
            EnsureBound(table);
            var previous = KernelEnvironment.Exchange(Environment);
            try
            {
                body();
            }
            finally
            {
                Leave(previous);
            }
        }
    }

    /// <summary>Disposes of the maps this twin gave storage; their programs may then be bound elsewhere.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            _latest = null;
            _programs.Clear();
            foreach (var map in _owned)
            {
                // A map may have been disposed of and bound elsewhere since.
                if (map.IsBound && map.Storage is TwinMapStorage storage && storage.Gate == _gate)
                {
                    map.Dispose();
                }
            }

            _owned.Clear();
        }
    }

    /// <summary>At the end of a run: what the program put off until now happens.</summary>
    private void Leave(KernelEnvironment? previous)
    {
        KernelEnvironment.Exchange(previous);
        Environment.FireDue();
    }

    private void EnsureBound(BpfProgram program)
    {
        if (ReferenceEquals(program, _latest))
        {
            return;
        }

        ObjectDisposedException.ThrowIf(_isDisposed, this);
        if (!_programs.Contains(program))
        {
            Bind(program);
        }

        _latest = program;
    }
}
