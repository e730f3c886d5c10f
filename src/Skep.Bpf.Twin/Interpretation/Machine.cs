using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>
/// The eBPF machine: registers, stack and the loop over instructions. What a program must not depend on holds a recognisable pattern:
/// registers never written, argument registers after a call, and the stack before the first store.
/// </summary>
internal sealed unsafe partial class Machine
{
    private const int Registers = 11;
    private const int MaxFrames = 8; // MAX_CALL_FRAMES
    private const int MostRounds = 8 * 1024 * 1024; // BPF_MAX_LOOPS
    public const ulong Poison = 0xBAD0_BAD0_BAD0_BAD0;

    private readonly ProgramSpec _spec;
    private readonly TwinEnvironment _environment;
    private readonly Instruction[] _code;
    private readonly Dictionary<int, MapReference> _references;
    private readonly Dictionary<int, string> _functions;
    private BpfMap[] _maps;
    private readonly ulong[] _r = new ulong[Registers];
    private readonly Return[] _returns = new Return[MaxFrames];
    private readonly int[] _rounds = new int[MaxFrames];
    private PacketView _view = null!;
    private long _stepLimit;
    private int _slot;
    private bool _endsFrame;
    private int _depth;

    public Machine(ProgramSpec spec, TwinEnvironment environment)
    {
        _spec = spec;
        _environment = environment;
        _code = [.. spec.Instructions];
        _references = spec.MapReferences.ToDictionary(reference => reference.Slot);
        _maps = [.. spec.Maps];
        _functions = spec.KernelFunctions.ToDictionary(function => function.Slot, function => function.Name);
        if (InstructionEncoding.Problems(_code) is [var (slot, reason), ..])
        {
            _slot = slot;
            Fault(reason);
        }
    }

    /// <summary>Instructions executed in the last run; a 64-bit constant counts as one.</summary>
    public long Executed { get; private set; }

    /// <summary>Runs from slot 0 to the end of the main function and gives R0.</summary>
    /// <param name="view">Context and packet.</param>
    /// <param name="stepLimit">Instructions after which the run is given up.</param>
    /// <param name="first">R1 at the start.</param>
    /// <param name="second">R2 at the start.</param>
    public ulong Run(PacketView view, long stepLimit, ulong first, ulong second)
    {
        _view = view;
        BeginValues();
        Array.Fill(_r, Poison);
        _depth = 0;
        Executed = 0;
        (_r[Register.R1], _r[Register.R2]) = (first, second);
        EnterFrame();
        _stepLimit = stepLimit;
        Execute(0);
        return _r[Register.R0];
    }

    /// <summary>Executes from a slot on until the frame that was entered last is left.</summary>
    private void Execute(int start)
    {
        for (var next = start; next >= 0;)
        {
            if ((uint)next >= (uint)_code.Length)
            {
                Fault("execution goes on outside the program");
            }

            _slot = next;
            if (++Executed > _stepLimit)
            {
                Fault(string.Create(CultureInfo.InvariantCulture, $"more than {_stepLimit} instructions"));
            }

            next = Step(_code[next]);
        }
    }

    /// <summary>Executes one instruction and gives the slot of the next; negative at the end of the program.</summary>
    private int Step(Instruction i)
    {
        switch (i.Class)
        {
            case ClassAlu64:
            case ClassAlu:
                Compute(i);
                return _slot + 1;
            case ClassJmp:
            case ClassJmp32:
                return Jump(i);
            case ClassLdx:
                LoadRegister(i);
                return _slot + 1;
            case ClassSt:
            case ClassStx:
                StoreRegister(i);
                return _slot + 1;
            case ClassLd when i.IsWideLoad:
                LoadWide(i);
                return _slot + 2;
            default:
                return LoadPacket(i);
        }
    }

    private void Compute(Instruction i)
    {
        RequireWritable(i.Dst);
        var operation = i.Code & 0xf0;
        var fromRegister = (i.Code & SourceRegister) != 0;
        var wide = i.Class == ClassAlu64;
        ulong? result;
        if (operation == End)
        {
            // The 64-bit class swaps always; the other goes to little-endian or, with the source bit, to big-endian order.
            result = i.Offset != 0 || (wide && fromRegister) ? null : Arithmetic.ByteOrder(_r[i.Dst], i.Immediate, wide || fromRegister);
        }
        else if (operation == Mov && wide && fromRegister && i.Offset == AddressSpaceCast)
        {
            // Arenas of the twin are where the process has them.
            result = _r[i.Src];
        }
        else if (operation == Mov && i.Offset != 0 && !fromRegister)
        {
            result = null; // Only registers are sign-extended.
        }
        else
        {
            var operand = fromRegister ? _r[i.Src] : (ulong)i.Immediate;
            result = wide ? Arithmetic.Alu64(operation, i.Offset, _r[i.Dst], operand) : Arithmetic.Alu32(operation, i.Offset, (uint)_r[i.Dst], (uint)operand);
        }

        _r[i.Dst] = result ?? FaultUnknown();
    }

    private int Jump(Instruction i)
    {
        var operation = i.Code & 0xf0;
        switch (operation)
        {
            case Ja when (i.Code & SourceRegister) != 0:
                Fault("jumps through a table need a map of instructions, which the interpreter does not have");
                return 0;
            case Ja:
                return _slot + 1 + (i.Class == ClassJmp ? i.Offset : i.Immediate);
            case Call when i.Code == CallInstruction:
                return CallAny(i);
            case Call when i.Code == (CallInstruction | SourceRegister):
                return CallNumber(_r[i.Dst]);
            case Jcond:
                // The kernel lets a loop go on for BPF_MAX_LOOPS rounds of a function, or for 250 ms where it can measure time.
                return _rounds[_depth - 1]++ < MostRounds ? _slot + 1 : _slot + 1 + i.Offset;
            case Exit when i.Code == ExitInstruction:
                return LeaveFrame();
        }

        var operand = (i.Code & SourceRegister) != 0 ? _r[i.Src] : (ulong)i.Immediate;
        var taken = i.Class == ClassJmp ? Arithmetic.Holds(operation, _r[i.Dst], operand) : Arithmetic.Holds32(operation, (uint)_r[i.Dst], (uint)operand);
        return taken switch
        {
            true => _slot + 1 + i.Offset,
            false => _slot + 1,
            null => (int)FaultUnknown(),
        };
    }

    private int CallAny(Instruction i)
    {
        switch (i.Src)
        {
            case 0:
                return CallNumber((uint)i.Immediate);
            case PseudoCall:
                if (_depth == MaxFrames)
                {
                    Fault("more than 8 nested calls");
                }

                _returns[_depth - 1] = new Return(_slot + 1, _r[Register.R6], _r[Register.R7], _r[Register.R8], _r[Register.R9]);
                EnterFrame();
                return _slot + 1 + i.Immediate;
            default:
                _r[Register.R0] = CallKernelFunction(_functions.GetValueOrDefault(_slot, ""));
                ForgetArguments();
                return _slot + 1;
        }
    }

    /// <summary>A helper by its number, which <c>callx</c> has in a register: no kernel takes that form, other engines do.</summary>
    private int CallNumber(ulong helper)
    {
        _endsFrame = false;
        _r[Register.R0] = CallHelper(helper > int.MaxValue ? -1 : (int)helper);
        ForgetArguments();
        return _endsFrame ? LeaveFrame() : _slot + 1;
    }

    private void EnterFrame()
    {
        _rounds[_depth++] = 0;
        new Span<byte>(_stack.Address + ((_depth - 1) * StackSize), StackSize).Fill(unchecked((byte)Poison));
        _r[Register.R10] = (ulong)_stack.Address + (ulong)(_depth * StackSize);
    }

    private int LeaveFrame()
    {
        if (--_depth == 0)
        {
            return -1;
        }

        var caller = _returns[_depth - 1];
        (_r[Register.R6], _r[Register.R7], _r[Register.R8], _r[Register.R9]) = (caller.R6, caller.R7, caller.R8, caller.R9);
        _r[Register.R10] -= StackSize;
        ForgetArguments();
        return caller.Slot;
    }

    private void ForgetArguments() => Array.Fill(_r, Poison, Register.R1, 5);

    private void RequireWritable(byte register)
    {
        if (register == Register.R10)
        {
            Fault("the frame pointer cannot be changed");
        }
    }

    [DoesNotReturn]
    private ulong FaultUnknown()
    {
        Fault("there is no such instruction");
        return 0;
    }

    [DoesNotReturn]
    private void Fault(string reason)
    {
        var instruction = _code.Length == 0 ? default : _code[_slot];
        var following = _slot + 1 < _code.Length ? _code[_slot + 1] : default;
        var line = _spec.Lines.LastOrDefault(l => l.Slot <= _slot);
        var position = line.File is null ? "" : $" ({Path.GetFileName(line.File)}:{line.Line.ToString(CultureInfo.InvariantCulture)})";
        throw new InterpreterFaultException(_spec.Name, _slot, Disassembler.Format(instruction, following), reason, position);
    }

    private readonly record struct Return(int Slot, ulong R6, ulong R7, ulong R8, ulong R9);
}
