using System.Reflection;
using System.Reflection.Metadata;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// Translates one method body in place. Locals become stack slots, which promotion turns into SSA values;
/// references to frozen objects never exist at run time and are followed here, at translation.
/// Further parts: control flow, arithmetic, memory, calls.
/// </summary>
internal sealed partial class MethodTranslator
{
    private static readonly MemberCache<Type, bool> s_mutableCopies = new(static t =>
        t.IsValueType && !t.IsDefined(typeof(System.Runtime.CompilerServices.IsReadOnlyAttribute), false) && !HoldsReferences(t));

    private readonly Translator _translator;
    private readonly Builder _builder;
    private readonly MethodBase _method;
    private readonly MethodCode _code;
    private readonly List<IlInstruction> _il;
    private readonly List<(int Offset, SourcePosition Position)> _positions;
    private readonly Slot[] _locals;
    private readonly Slot[] _arguments;
    private readonly List<Entry> _stack = [];
    private readonly Block _exit;
    private readonly Type _returnType;
    private readonly bool _catches;
    private readonly bool _singleReturn;
    private Node? _result;
    private int _returns;
    private Entry? _directResult;
    private readonly TrackingPlan _plan;
    private Type? _constrained;

    public MethodTranslator(Translator translator, MethodBase method, MethodCode code, TrackingPlan plan)
    {
        _translator = translator;
        _plan = plan;
        _builder = translator.Builder;
        _method = method;
        _code = code;
        _il = code.Il;
        _positions = code.Positions;
        _returnType = (method as MethodInfo)?.ReturnType ?? typeof(void);
        _finally = Array.FindAll(code.Clauses, IsFinally);
        _catches = code.Clauses.Length > _finally.Length;
        _locals = new Slot[code.Locals.Length];
        for (var i = 0; i < _locals.Length; i++)
        {
            _locals[i] = new Slot(code.Locals[i]);
        }

        var parameters = KnownMethod.Of(method).Parameters;
        var self = method.IsStatic ? 0 : 1;
        _arguments = new Slot[parameters.Length + self];
        if (self == 1)
        {
            var owner = method.DeclaringType!;
            _arguments[0] = new Slot(owner.IsValueType ? owner.MakeByRefType() : owner);
        }

        for (var i = 0; i < parameters.Length; i++)
        {
            _arguments[i + self] = new Slot(parameters[i]);
        }

        for (var i = 0; i < _locals.Length + _arguments.Length; i++)
        {
            SlotAt(i).Index = i;
            SlotAt(i).IsTracked = plan.IsTracked(i);
        }

        var returns = 0;
        foreach (var instruction in _il)
        {
            switch (instruction.Number)
            {
                case ILOpCode.Starg or ILOpCode.Starg_s:
                    _arguments[(int)instruction.Operand].IsVariable = true;
                    break;
                case ILOpCode.Ldarga or ILOpCode.Ldarga_s:
                    _arguments[(int)instruction.Operand].IsVariable = true;
                    _arguments[(int)instruction.Operand].IsAddressed = true;
                    break;
                case ILOpCode.Ldloca or ILOpCode.Ldloca_s:
                    _locals[(int)instruction.Operand].IsAddressed = true;
                    break;
                case ILOpCode.Ret:
                    returns++;
                    break;
            }
        }

        _singleReturn = !plan.ReturnsThroughMemory && returns == 1;
        _exit = _builder.Function.NewBlock();
    }

    public Entry? Run(ReadOnlySpan<Entry> arguments)
    {
        if (_catches)
        {
            _builder.Position = _positions.Count > 0 ? _positions[0].Position : _builder.Position;
            Fail(Rule.Exception, $"'{_method.Name}' has try and catch; a kernel program cannot catch: test conditions and return");
            _builder.Current = _exit;
            return _translator.Dead(_method);
        }

        for (var i = 0; i < _arguments.Length; i++)
        {
            _arguments[i].Known = arguments[i];
            if (_arguments[i].IsVariable && (!arguments[i].Node.IsFrozen || IsMutableCopy(_arguments[i].Type)))
            {
                _arguments[i].Known = null;
                Assign(_arguments[i], arguments[i]);
            }
        }

        foreach (var local in _locals)
        {
            ZeroLocal(local);
        }

        TranslateBlocks();
        _builder.Current = _exit;
        if (_returns == 0)
        {
            _builder.Trap(Rule.Internal, $"'{_method.Name}' never returns");
            return _translator.Dead(_method);
        }

        if (_returnType == typeof(void))
        {
            return null;
        }

        if (_directResult is { } direct)
        {
            return direct;
        }

        if (_result is null)
        {
            return _translator.Zero(_returnType);
        }

        return TypeLayout.ScalarOf(_returnType) is null
            ? new Entry(_result, _returnType)
            : new Entry(LoadScalar(_result, 0, _returnType));
    }

    /// <summary>Whether a frozen struct passed by value may be changed by the method, which has a copy of its own.</summary>
    private static bool IsMutableCopy(Type type) => s_mutableCopies.Of(type);

    private static bool HoldsReferences(Type type) =>
        type.IsValueType
            ? !type.IsPrimitive && !type.IsEnum && type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).Any(static f => HoldsReferences(f.FieldType))
            : !type.IsPointer && !type.IsFunctionPointer;

    /// <summary>A local or argument: a stack slot, or a value known at translation.</summary>
    private sealed class Slot(Type type)
    {
        public Type Type { get; } = type;

        /// <summary>Place among the locals, then the arguments.</summary>
        public int Index { get; set; }

        /// <summary>Whether its numbers are followed at translation (<see cref="TrackingPlan"/>).</summary>
        public bool IsTracked { get; set; }

        public bool IsAddressed { get; set; }

        /// <summary>Whether it is assigned or its address taken.</summary>
        public bool IsVariable { get; set; }

        /// <summary>The memory, once it has some.</summary>
        public Node? Memory { get; set; }

        /// <summary>The value when it is frozen or never changes; locals: at the current point of translation.</summary>
        public Entry? Known { get; set; }

        /// <summary>Whether it holds objects, or structs with objects in them: then it has no memory, only a known value.</summary>
        public bool IsReference { get; } = type.IsFunctionPointer || TypeLayout.HoldsObjects(type);
    }

    private void Fail(string rule, string message) => _builder.Trap(rule, message);

    private Node Memory(Slot slot)
    {
        if (slot.Memory is null)
        {
            slot.Memory = _builder.Function.NewAlloca(TypeLayout.SizeOf(slot.Type), slot.Type.Name);
            _translator.Owners[slot.Memory] = (_plan, slot.IsAddressed ? -1 : slot.Index);
        }

        return slot.Memory;
    }

    private void ZeroLocal(Slot local)
    {
        if (local.IsReference)
        {
            return;
        }

        if (local.IsTracked)
        {
            local.Known = new Entry(Frozen.Constant(local.Type, 0));
            return;
        }

        if (TypeLayout.IsForbidden(local.Type))
        {
            // Library code has locals of every kind in branches that are not taken here.
            return;
        }

        // The C# compiler asks for zeroed locals; what is overwritten before it is read is removed later.
        Zero(Memory(local), local.Type);
    }

    private Entry LoadSlot(Slot slot)
    {
        if (slot.Known is { } known)
        {
            return known;
        }

        if (slot.IsReference)
        {
            Fail(Rule.NotFrozen, $"a variable of type {slot.Type.Name} is used where its object is not known at compile time; keep objects in readonly fields and call each in its own branch");
            return new Entry(Frozen.Null());
        }

        if (TypeLayout.ScalarOf(slot.Type) is not null)
        {
            return new Entry(LoadScalar(Memory(slot), 0, slot.Type));
        }

        var copy = _builder.Function.NewAlloca(TypeLayout.SizeOf(slot.Type), slot.Type.Name);
        Copy(copy, Memory(slot), slot.Type);
        return new Entry(copy, slot.Type);
    }

    private void Assign(Slot slot, Entry value)
    {
        if (slot.IsReference || (slot.Type.IsByRef && value.Node.IsFrozen))
        {
            slot.Known = value;
            return;
        }

        if (slot.IsTracked)
        {
            if (value.Node.IsConstant)
            {
                slot.Known = new Entry(Frozen.Constant(slot.Type, value.Node.Immediate));
                return;
            }

            TrackSources(value.Node, _plan.IsForObjects(slot.Index));
        }

        slot.Known = null;
        if (TypeLayout.ScalarOf(slot.Type) is not null)
        {
            StoreScalar(Memory(slot), 0, slot.Type, value.Node);
        }
        else
        {
            StoreStruct(Memory(slot), value, slot.Type);
        }
    }

    /// <summary>The address of a slot, which from then on lives in memory.</summary>
    private Node AddressOf(Slot slot)
    {
        if (slot.Known is { } known)
        {
            if (slot.IsReference)
            {
                // The address of an object variable is used to call through it (constrained calls), that of a cursor to move it.
                return known.Node is { Payload: ArrayCursor } ? new Node(Op.FrozenObject, IrType.Pointer) { Payload = slot } : known.Node;
            }

            if (known.Struct is not null && known.Node.Op == Op.FrozenStruct)
            {
                return known.Node;
            }

            var memory = Memory(slot);
            slot.Known = null;
            Assign(slot, known);
            return memory;
        }

        if (slot.IsReference)
        {
            if (slot.Type.Name.EndsWith("InterpolatedStringHandler", StringComparison.Ordinal))
            {
                Fail(Rule.Unsupported, "a string is made; kernel programs have none: use numbers and enums, and format in the agent");
                return Frozen.Null();
            }

            Fail(Rule.NotFrozen, $"the address of a variable of type {slot.Type.Name} is taken; objects exist only at compile time, keep them in readonly fields");
            return Frozen.Null();
        }

        return Memory(slot);
    }
}
