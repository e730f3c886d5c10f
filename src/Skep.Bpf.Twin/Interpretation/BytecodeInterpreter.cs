using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>
/// Runs a program's bytecode in the process, instruction by instruction, over the maps, clock and chance of a twin: the third engine beside the
/// CLR and the kernel. It shows whether the compiler or an engine is at fault when two disagree, counts the instructions a packet costs,
/// and runs object files of other compilers. Every access to memory is checked.
/// </summary>
public sealed class BytecodeInterpreter
{
    private readonly ProgramSpec _spec;
    private readonly TwinEngine _twin;
    private readonly Machine _machine;
    private readonly PacketFrame _frame = new();
    private readonly XdpView _xdp = new();
    private readonly TcView _tc = new();

    /// <summary>Prepares a program and gives those of its maps without storage storage under the twin.</summary>
    /// <param name="spec">An XDP or TC program.</param>
    /// <param name="twin">Whose maps and environment it runs with.</param>
    /// <exception cref="InvalidOperationException">A map has its storage in the kernel or under another twin.</exception>
    public BytecodeInterpreter(ProgramSpec spec, TwinEngine twin)
    {
        ArgumentNullException.ThrowIfNull(spec);
        ArgumentNullException.ThrowIfNull(twin);
        foreach (var map in spec.Reachable.SelectMany(static s => s.Maps))
        {
            twin.Bind(map);
        }

        _spec = spec;
        _twin = twin;
        _machine = new Machine(spec, twin.Environment);
    }

    /// <summary>Instructions after which a run is given up; one million, as the verifier, unless set.</summary>
    public long StepLimit { get; init; } = 1_000_000;

    /// <summary>Runs an XDP program on a copy of <paramref name="packet"/>.</summary>
    /// <exception cref="InterpreterFaultException">The program did what a verifier would have refused.</exception>
    public InterpreterResult RunXdp(ReadOnlySpan<byte> packet, scoped in XdpRunOptions options = default)
    {
        Require(ProgramType.Xdp);
        lock (_twin.Gate)
        {
            _xdp.Context = _frame.Load(packet, options.IngressInterface == 0 ? 1 : options.IngressInterface, options.RxQueue);
            var verdict = Run(_xdp);
            return new InterpreterResult(verdict, _machine.Executed, 0, _frame.Unload(in _xdp.Context));
        }
    }

    /// <summary>Runs a TC program on a copy of <paramref name="packet"/>.</summary>
    /// <exception cref="InterpreterFaultException">The program did what a verifier would have refused.</exception>
    public InterpreterResult RunTc(ReadOnlySpan<byte> packet, scoped in TcRunOptions options = default)
    {
        Require(ProgramType.SchedCls);
        lock (_twin.Gate)
        {
            _tc.Context = _frame.LoadTc(packet, in options);
            var verdict = Run(_tc);
            return new InterpreterResult(verdict, _machine.Executed, _tc.Context.Mark, _tc.Context.Packet);
        }
    }

    /// <summary>
    /// Runs the code on plain memory, as the abstract machine of RFC 9669, whatever the program's type: R1 is the address of a copy of
    /// <paramref name="memory"/> (0 when it is empty), R2 its length in bytes.
    /// </summary>
    /// <returns>All 64 bits of R0 at the end.</returns>
    /// <exception cref="InterpreterFaultException">The program did what a verifier would have refused.</exception>
    public unsafe ulong RunMemory(ReadOnlySpan<byte> memory)
    {
        lock (_twin.Gate)
        {
            var context = _frame.Load(memory, 0, 0);
            return Run(new MemoryView(context.Data, memory.Length), memory.IsEmpty ? 0 : (ulong)context.Data, (ulong)memory.Length);
        }
    }

    private uint Run(PacketView view) => (uint)Run(view, Machine.ContextTag, Machine.Poison);

    private ulong Run(PacketView view, ulong first, ulong second)
    {
        var previous = KernelEnvironment.Exchange(_twin.Environment);
        try
        {
            return _machine.Run(view, StepLimit, first, second);
        }
        finally
        {
            KernelEnvironment.Exchange(previous);
            _twin.Environment.FireDue();
        }
    }

    private void Require(ProgramType type)
    {
        if (_spec.Type != type)
        {
            throw new InvalidOperationException($"'{_spec.Name}' is a program of type {_spec.Type}, not {type}.");
        }
    }
}
