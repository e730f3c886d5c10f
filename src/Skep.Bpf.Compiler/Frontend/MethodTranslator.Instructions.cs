using System.Reflection;
using System.Reflection.Metadata;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>The IL instruction set (ECMA-335 partition III), one case each.</summary>
internal sealed partial class MethodTranslator
{
    private void Translate(IlInstruction il)
    {
        var code = il.Number;
        switch (code)
        {
            case ILOpCode.Nop or ILOpCode.Break or ILOpCode.Volatile or ILOpCode.Unaligned or ILOpCode.Readonly or ILOpCode.Tail:
                break;
            case ILOpCode.Constrained:
                _constrained = ResolveType(il);
                break;

            case >= ILOpCode.Ldarg_0 and <= ILOpCode.Ldarg_3:
                _stack.Add(LoadSlot(_arguments[code - ILOpCode.Ldarg_0]));
                break;
            case ILOpCode.Ldarg_s or ILOpCode.Ldarg:
                _stack.Add(LoadSlot(_arguments[il.Operand]));
                break;
            case ILOpCode.Ldarga_s or ILOpCode.Ldarga:
                _stack.Add(new Entry(AddressOf(_arguments[il.Operand])));
                break;
            case ILOpCode.Starg_s or ILOpCode.Starg:
                Assign(_arguments[il.Operand], Pop());
                break;
            case >= ILOpCode.Ldloc_0 and <= ILOpCode.Ldloc_3:
                _stack.Add(LoadSlot(_locals[code - ILOpCode.Ldloc_0]));
                break;
            case ILOpCode.Ldloc_s or ILOpCode.Ldloc:
                _stack.Add(LoadSlot(_locals[il.Operand]));
                break;
            case ILOpCode.Ldloca_s or ILOpCode.Ldloca:
                _stack.Add(new Entry(AddressOf(_locals[il.Operand])));
                break;
            case >= ILOpCode.Stloc_0 and <= ILOpCode.Stloc_3:
                Assign(_locals[code - ILOpCode.Stloc_0], Pop());
                break;
            case ILOpCode.Stloc_s or ILOpCode.Stloc:
                Assign(_locals[il.Operand], Pop());
                break;

            case ILOpCode.Ldnull:
                Push(Frozen.Null());
                break;
            case >= ILOpCode.Ldc_i4_m1 and <= ILOpCode.Ldc_i4_8:
                Push(Node.Const(IrType.I32, (int)code - (int)ILOpCode.Ldc_i4_0));
                break;
            case ILOpCode.Ldc_i4_s or ILOpCode.Ldc_i4:
                Push(Node.Const(IrType.I32, il.Operand));
                break;
            case ILOpCode.Ldc_i8:
                Push(Node.Const(IrType.I64, il.Operand));
                break;
            case ILOpCode.Dup:
                _stack.Add(_stack[^1]);
                break;
            case ILOpCode.Pop:
                Pop();
                break;

            case ILOpCode.Call:
                Call(il, false);
                break;
            case ILOpCode.Callvirt:
                Call(il, true);
                break;
            case ILOpCode.Newobj:
                NewObject(il);
                break;
            case ILOpCode.Ret:
                Return();
                break;

            case ILOpCode.Leave or ILOpCode.Leave_s:
                Leave(il);
                break;
            case ILOpCode.Endfinally:
                EndFinally();
                break;
            case ILOpCode.Br or ILOpCode.Br_s:
                GoTo(_blocks[(int)il.Operand]);
                break;
            case ILOpCode.Brfalse or ILOpCode.Brfalse_s:
                BranchOnZero(Condition.Equal, il);
                break;
            case ILOpCode.Brtrue or ILOpCode.Brtrue_s:
                BranchOnZero(Condition.NotEqual, il);
                break;
            case >= ILOpCode.Beq_s and <= ILOpCode.Blt_un_s:
                CompareAndBranch(code - ILOpCode.Beq_s, il);
                break;
            case >= ILOpCode.Beq and <= ILOpCode.Blt_un:
                CompareAndBranch(code - ILOpCode.Beq, il);
                break;
            case ILOpCode.Switch:
                Switch(Pop().Node, il.Targets!, il.Next);
                break;

            case ILOpCode.Ceq:
                Compare(Condition.Equal);
                break;
            case ILOpCode.Cgt:
                Compare(Condition.GreaterSigned);
                break;
            case ILOpCode.Cgt_un:
                Compare(Condition.GreaterUnsigned);
                break;
            case ILOpCode.Clt:
                Compare(Condition.LessSigned);
                break;
            case ILOpCode.Clt_un:
                Compare(Condition.LessUnsigned);
                break;

            case ILOpCode.Ldind_i1:
                LoadIndirect(typeof(sbyte));
                break;
            case ILOpCode.Ldind_u1:
                LoadIndirect(typeof(byte));
                break;
            case ILOpCode.Ldind_i2:
                LoadIndirect(typeof(short));
                break;
            case ILOpCode.Ldind_u2:
                LoadIndirect(typeof(ushort));
                break;
            case ILOpCode.Ldind_i4:
            case ILOpCode.Ldind_u4:
                LoadIndirect(typeof(uint));
                break;
            case ILOpCode.Ldind_i8:
                LoadIndirect(typeof(ulong));
                break;
            case ILOpCode.Ldind_i:
                LoadIndirect(typeof(void*));
                break;
            case ILOpCode.Stind_i1:
                StoreIndirect(typeof(byte));
                break;
            case ILOpCode.Stind_i2:
                StoreIndirect(typeof(ushort));
                break;
            case ILOpCode.Stind_i4:
                StoreIndirect(typeof(uint));
                break;
            case ILOpCode.Stind_i8:
                StoreIndirect(typeof(ulong));
                break;
            case ILOpCode.Stind_i:
                StoreIndirect(typeof(void*));
                break;
            case ILOpCode.Ldind_ref:
                break;
            case ILOpCode.Ldobj:
                _stack.Add(LoadObject(Pop().Node, ResolveType(il)));
                break;
            case ILOpCode.Stobj:
                StoreIndirect(ResolveType(il));
                break;
            case ILOpCode.Cpobj:
            {
                var source = Pop().Node;
                StoreObject(Pop().Node, LoadObject(source, ResolveType(il)), ResolveType(il));
                break;
            }

            case ILOpCode.Initobj:
                Zero(Pop().Node, ResolveType(il));
                break;
            case ILOpCode.Sizeof:
                Push(Node.Const(IrType.I32, Kernel.SizeOf(ResolveType(il), _builder.Position)));
                break;
            case ILOpCode.Localloc:
                LocalAllocate();
                break;

            case ILOpCode.Ldfld or ILOpCode.Ldsfld:
                LoadField(ResolveField(il));
                break;
            case ILOpCode.Ldflda:
                LoadFieldAddress(ResolveField(il));
                break;
            case ILOpCode.Ldsflda:
                LoadStaticFieldAddress(ResolveField(il));
                break;
            case ILOpCode.Stfld:
                StoreField(ResolveField(il));
                break;
            case ILOpCode.Stsfld:
                Fail(Rule.MutableState, "a static field is written; keep changing state in a map or Global<T>");
                break;
            case ILOpCode.Ldftn or ILOpCode.Ldvirtftn:
                LoadFunction(il, code == ILOpCode.Ldvirtftn);
                break;
            case ILOpCode.Calli:
                CallIndirect();
                break;

            case ILOpCode.Ldlen:
                LoadLength();
                break;
            case ILOpCode.Ldelem or ILOpCode.Ldelem_ref or ILOpCode.Ldelem_i or ILOpCode.Ldelema
                or (>= ILOpCode.Ldelem_i1 and <= ILOpCode.Ldelem_r8):
                LoadElement(code == ILOpCode.Ldelema);
                break;
            case ILOpCode.Ldtoken when _code.Member(il) is Type type:
                Push(new Node(Op.FrozenObject, IrType.Pointer) { Payload = type });
                break;
            case ILOpCode.Ldtoken when _code.Member(il) is FieldInfo field:
                Push(new Node(Op.FrozenObject, IrType.Pointer) { Payload = field });
                break;
            case ILOpCode.Isinst:
            {
                var entry = Pop();
                var type = ResolveType(il);
                Push(entry.Node.Op != Op.FrozenObject || type.IsInstanceOfType(entry.Node.Payload) ? entry.Node : Frozen.Null());
                break;
            }

            case ILOpCode.Castclass:
                break;
            case ILOpCode.Throw or ILOpCode.Rethrow:
                Fail(Rule.Exception, "an exception can be thrown here; a kernel program cannot throw: return a verdict, or make the condition impossible with a check before");
                break;
            case ILOpCode.Ldstr when IsNameOfKernelFunction(il):
                Push(new Node(Op.FrozenObject, IrType.Pointer) { Payload = _method.Module.ResolveString((int)il.Operand) });
                break;
            case ILOpCode.Ldstr:
                Fail(Rule.Unsupported, "a string is used; kernel programs have none: use numbers and enums, and format in the agent");
                break;
            case ILOpCode.Newarr:
                Fail(Rule.Unsupported, "an array is allocated; kernel programs cannot allocate: use stackalloc, an inline array, or a map");
                break;
            case ILOpCode.Box when ResolveType(il) is { IsValueType: true } boxed && Nullable.GetUnderlyingType(boxed) is null && IsNullTest(il.Next):
                // Generic code asks whether a value is null: it is not.
                Pop();
                Push(new Node(Op.FrozenObject, IrType.Pointer) { Payload = boxed });
                break;
            case ILOpCode.Box when _il.Find(i => i.Offset == il.Next) is { Code.Name: "unbox.any" } unbox && ResolveType(unbox) == ResolveType(il):
                // (T)(object)value where T is the value's own type: generic code that asked for the type before.
                break;
            case ILOpCode.Unbox_any when _stack[^1].Node.Op != Op.FrozenObject && ResolveType(il).IsValueType:
                break;
            case ILOpCode.Unbox_any when ResolveType(il) is var unboxed && unboxed.IsInstanceOfType(_stack[^1].Node.Payload):
            {
                var value = unboxed.IsValueType ? Frozen.ToNode(Pop().Node.Payload, unboxed) : Pop().Node;
                _stack.Add(new Entry(value, value.Op == Op.FrozenStruct ? unboxed : null));
                break;
            }

            case ILOpCode.Box:
                Fail(Rule.Unsupported, $"a {ResolveType(il).Name} is boxed; kernel programs cannot allocate: use generics with a struct constraint instead of object or an interface");
                break;
            case ILOpCode.Ldc_r4 or ILOpCode.Ldc_r8 or ILOpCode.Conv_r4 or ILOpCode.Conv_r8 or ILOpCode.Conv_r_un or ILOpCode.Ldind_r4 or ILOpCode.Ldind_r8 or ILOpCode.Stind_r4 or ILOpCode.Stind_r8:
                Fail(Rule.Unsupported, "floating point is used; the kernel has none: scale to integers");
                break;
            default:
                if (!Arithmetic(code))
                {
                    Fail(Rule.Unsupported, $"IL instruction '{il.Code.Name}' in '{_method.DeclaringType?.Name}.{_method.Name}' has no meaning in a kernel program");
                }

                break;
        }
    }

    private bool IsNullTest(int offset) =>
        _il.Find(i => i.Offset == offset).Code.Name is "brtrue" or "brtrue.s" or "brfalse" or "brfalse.s";

    private void Push(Node node) => _stack.Add(new Entry(node));

    private void LoadIndirect(Type type)
    {
        var address = Pop().Node;
        if (type == typeof(void*) && address is { Op: Op.FrozenObject, Payload: not KernelPlace })
        {
            Push(address);
            return;
        }

        _stack.Add(LoadObject(address, type));
    }

    private void StoreIndirect(Type type)
    {
        var value = Pop();
        StoreObject(Pop().Node, value, type);
    }

    private void LocalAllocate()
    {
        var size = Pop().Node;
        if (!size.IsConstant || size.Immediate is <= 0 or > 4096)
        {
            Fail(Rule.NotConstant, "stackalloc needs a constant size of at most a few hundred bytes");
            Push(Node.Const(IrType.Pointer, 0));
            return;
        }

        var memory = _builder.Function.NewAlloca((int)((size.Immediate + 7) & ~7L), "stackalloc");
        for (var offset = 0; offset < memory.Size; offset += 8)
        {
            _builder.Store(memory, offset, 8, Node.Const(IrType.I64, 0));
        }

        Push(memory);
    }

    private Type ResolveType(IlInstruction il) => _code.Type(il);

    private FieldInfo ResolveField(IlInstruction il) => _code.Field(il);

    private MethodBase ResolveMethod(IlInstruction il) => _code.Method(il);
}
