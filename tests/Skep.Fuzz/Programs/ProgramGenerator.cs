using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.Loader;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Fuzz.Programs;

/// <summary>
/// Writes random XDP programs in IL: integer expressions of all widths, nested conditions, bounded loops, switches, packet reads and writes.
/// They are deterministic in the seed and never throw, so that the CLR, too, can run each on any packet.
/// </summary>
internal sealed class ProgramGenerator(int seed)
{
    /// <summary>Bytes of packet that a program reads and writes.</summary>
    public const int PacketSize = 128;

    private const int Longs = 4;
    private const int Ints = 4;
    private const int FirstInt = Longs;
    private const int Pointer = Longs + Ints;
    private const int Counter = Pointer + 1;
    private const int MostLoops = 2; // the verifier walks every round of every nest
    private const int Pairs = Counter + MostLoops;
    private const int PairCount = 2;
    private const int Cells = Pairs + PairCount;

    private static readonly FieldInfo[] s_fields = typeof(RandomPair).GetFields();

    private static readonly OpCode[] s_binary =
    [
        OpCodes.Add, OpCodes.Sub, OpCodes.Mul, OpCodes.And, OpCodes.Or, OpCodes.Xor, OpCodes.Shl, OpCodes.Shr, OpCodes.Shr_Un,
        OpCodes.Div, OpCodes.Div_Un, OpCodes.Rem, OpCodes.Rem_Un,
    ];

    private static readonly OpCode[] s_branches =
    [
        OpCodes.Beq, OpCodes.Bge, OpCodes.Bgt, OpCodes.Ble, OpCodes.Blt, OpCodes.Bne_Un, OpCodes.Bge_Un, OpCodes.Bgt_Un, OpCodes.Ble_Un, OpCodes.Blt_Un,
    ];

    private static readonly OpCode[] s_compares = [OpCodes.Ceq, OpCodes.Cgt, OpCodes.Cgt_Un, OpCodes.Clt, OpCodes.Clt_Un];

    private static readonly MethodInfo[] s_calls = [.. typeof(RandomProgram)
        .GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
        .Where(static m => (m.ReturnType == typeof(long) || m.ReturnType == typeof(int)) && m.Name is not (nameof(RandomProgram.Mix) or nameof(RandomProgram.Touch)))
        .OrderBy(static m => m.Name, StringComparer.Ordinal)];

    private readonly Random _random = new(seed);
    private ILGenerator _il = null!;
    private int _loops;

    /// <summary>As many program classes as asked for, in one assembly.</summary>
    public IReadOnlyList<Type> Generate(int count)
    {
        var assembly = new PersistedAssemblyBuilder(new AssemblyName($"Random{seed}"), typeof(object).Assembly);
        var module = assembly.DefineDynamicModule("Random");
        for (var i = 0; i < count; i++)
        {
            Write(module.DefineType($"Program{i}", TypeAttributes.Public | TypeAttributes.Sealed, typeof(RandomProgram)));
        }

        using var image = new MemoryStream();
        assembly.Save(image);
        image.Position = 0;
        var loaded = new AssemblyLoadContext($"Random{seed}", isCollectible: true).LoadFromStream(image);
        return [.. Enumerable.Range(0, count).Select(i => loaded.GetType($"Program{i}")!)];
    }

    private void Write(TypeBuilder type)
    {
        var constructor = type.DefineDefaultConstructor(MethodAttributes.Public);
        _ = constructor;
        var run = type.DefineMethod(
            "Run", MethodAttributes.Public | MethodAttributes.Virtual | MethodAttributes.HideBySig, typeof(XdpAction), [typeof(XdpContext).MakeByRefType()]);
        type.DefineMethodOverride(run, typeof(XdpProgram).GetMethod("Run")!);
        _il = run.GetILGenerator();
        _loops = 0;
        for (var i = 0; i < Longs; i++)
        {
            _il.DeclareLocal(typeof(long));
        }

        for (var i = 0; i < Ints; i++)
        {
            _il.DeclareLocal(typeof(int));
        }

        _il.DeclareLocal(typeof(byte*));
        for (var i = 0; i < MostLoops; i++)
        {
            _il.DeclareLocal(typeof(int));
        }

        for (var i = 0; i < PairCount; i++)
        {
            _il.DeclareLocal(typeof(RandomPair));
        }

        _il.DeclareLocal(typeof(RandomCells));

        var inside = _il.DefineLabel();
        _il.Emit(OpCodes.Ldarg_1);
        _il.Emit(OpCodes.Call, typeof(XdpContext).GetProperty("Data")!.GetMethod!);
        _il.Emit(OpCodes.Stloc, Pointer);
        _il.Emit(OpCodes.Ldloc, Pointer);
        _il.Emit(OpCodes.Ldc_I4, PacketSize);
        _il.Emit(OpCodes.Add);
        _il.Emit(OpCodes.Ldarg_1);
        _il.Emit(OpCodes.Call, typeof(XdpContext).GetProperty("DataEnd")!.GetMethod!);
        _il.Emit(OpCodes.Ble_Un, inside);
        _il.Emit(OpCodes.Ldc_I4_1);
        _il.Emit(OpCodes.Ret);
        _il.MarkLabel(inside);
        Statements(3, 3 + _random.Next(5));

        // Everything that was computed is seen.
        for (var i = 0; i < Longs + Ints; i++)
        {
            _il.Emit(OpCodes.Ldloc, Pointer);
            _il.Emit(OpCodes.Ldc_I4, i < Longs ? i * 8 : 32 + ((i - Longs) * 4));
            _il.Emit(OpCodes.Add);
            _il.Emit(OpCodes.Ldloc, i);
            _il.Emit(i < Longs ? OpCodes.Stind_I8 : OpCodes.Stind_I4);
        }

        if (_random.Next(3) == 0)
        {
            // Some go on in another program, some find the slot empty, some find none.
            _il.Emit(OpCodes.Ldarg_0);
            _il.Emit(OpCodes.Ldfld, typeof(RandomProgram).GetField(nameof(RandomProgram.Next))!);
            _il.Emit(OpCodes.Ldarg_1);
            Expression(false, 1);
            _il.Emit(OpCodes.Ldc_I4_7);
            _il.Emit(OpCodes.And);
            _il.Emit(OpCodes.Ldc_I4, (int)XdpAction.Drop);
            _il.Emit(OpCodes.Call, typeof(ProgramArray<XdpContext, XdpAction>).GetMethod("Call")!);
        }
        else
        {
            _il.Emit(OpCodes.Ldc_I4_2);
        }

        _il.Emit(OpCodes.Ret);
        type.CreateType();
    }

    private void Statements(int depth, int count)
    {
        for (var i = 0; i < count; i++)
        {
            Statement(depth);
        }
    }

    private void Statement(int depth)
    {
        switch (_random.Next(-2, depth > 0 ? 13 : 8))
        {
            case < 0:
            {
                // A feature of the language, behind a call.
                var method = s_calls[_random.Next(s_calls.Length)];
                Call(method, 2);
                _il.Emit(OpCodes.Stloc, method.ReturnType == typeof(long) ? _random.Next(Longs) : FirstInt + _random.Next(Ints));
                break;
            }

            case 4:
            {
                // A field of a struct.
                var field = s_fields[_random.Next(s_fields.Length)];
                _il.Emit(OpCodes.Ldloca, Pairs + _random.Next(PairCount));
                Expression(field.FieldType == typeof(long), 2);
                _il.Emit(OpCodes.Stfld, field);
                break;
            }

            case 5:
                // A copy of a whole struct.
                _il.Emit(OpCodes.Ldloc, Pairs + _random.Next(PairCount));
                _il.Emit(OpCodes.Stloc, Pairs + _random.Next(PairCount));
                break;
            case 6:
                // A method that takes the struct by reference and is inlined.
                _il.Emit(OpCodes.Ldloca, Pairs + _random.Next(PairCount));
                Expression(false, 1);
                _il.Emit(OpCodes.Call, typeof(RandomProgram).GetMethod(nameof(RandomProgram.Mix))!);
                _il.Emit(OpCodes.Stloc, FirstInt + _random.Next(Ints));
                break;
            case 7:
                // A helper that gets the struct by address.
                _il.Emit(OpCodes.Ldarg_0);
                _il.Emit(OpCodes.Ldloca, Pairs + _random.Next(PairCount));
                Expression(true, 1);
                _il.Emit(OpCodes.Call, typeof(RandomProgram).GetMethod(nameof(RandomProgram.Touch))!);
                _il.Emit(OpCodes.Stloc, _random.Next(Longs));
                break;
            case 0 or 1:
                Expression(true, 3);
                _il.Emit(OpCodes.Stloc, _random.Next(Longs));
                break;
            case 2:
                Expression(false, 3);
                _il.Emit(OpCodes.Stloc, FirstInt + _random.Next(Ints));
                break;
            case 3:
                var wide = _random.Next(4) == 0;
                Address(8);
                Expression(wide, 2);
                _il.Emit(wide ? OpCodes.Stind_I8 : new[] { OpCodes.Stind_I1, OpCodes.Stind_I2, OpCodes.Stind_I4 }[_random.Next(3)]);
                break;
            case 8 or 9 or 10:
            {
                var otherwise = _il.DefineLabel();
                var end = _il.DefineLabel();
                Condition(otherwise);
                Statements(depth - 1, 1 + _random.Next(3));
                _il.Emit(OpCodes.Br, end);
                _il.MarkLabel(otherwise);
                Statements(depth - 1, _random.Next(3));
                _il.MarkLabel(end);
                break;
            }

            case 11 when _loops < MostLoops:
                WriteLoop(Counter + _loops++, depth);
                break;

            default:
            {
                var labels = Enumerable.Range(0, 2 + _random.Next(3)).Select(_ => _il.DefineLabel()).ToArray();
                var end = _il.DefineLabel();
                Expression(false, 1);
                _il.Emit(OpCodes.Ldc_I4, 7);
                _il.Emit(OpCodes.And);
                _il.Emit(OpCodes.Switch, labels);
                Statements(depth - 1, 1);
                _il.Emit(OpCodes.Br, end);
                foreach (var label in labels)
                {
                    _il.MarkLabel(label);
                    Statements(depth - 1, 1);
                    if (_random.Next(3) > 0)
                    {
                        _il.Emit(OpCodes.Br, end);
                    }
                }

                _il.MarkLabel(end);
                break;
            }
        }
    }

    /// <summary>Upwards or downwards, tested before or after its body, with a constant bound or one that data sets, and perhaps broken off.</summary>
    private void WriteLoop(int counter, int depth)
    {
        var (first, step, down, after) = (_random.Next(3), 1 + _random.Next(2), _random.Next(3) == 0, _random.Next(3) == 0);
        var rounds = 1 + _random.Next(3);
        var bound = -1;
        if (!down && _random.Next(4) == 0)
        {
            bound = _il.DeclareLocal(typeof(int)).LocalIndex;
            Expression(false, 1);
            _il.Emit(OpCodes.Ldc_I4_3);
            _il.Emit(OpCodes.And);
            _il.Emit(OpCodes.Stloc, bound);
        }

        var (head, test, end) = (_il.DefineLabel(), _il.DefineLabel(), _il.DefineLabel());
        _il.Emit(OpCodes.Ldc_I4, down ? first + (rounds * step) : first);
        _il.Emit(OpCodes.Stloc, counter);
        if (!after)
        {
            _il.Emit(OpCodes.Br, test);
        }

        _il.MarkLabel(head);
        Statements(Math.Min(depth - 1, 1), 1 + _random.Next(2));
        if (_random.Next(6) == 0)
        {
            Condition(end);
        }

        _il.Emit(OpCodes.Ldloc, counter);
        _il.Emit(OpCodes.Ldc_I4, down ? -step : step);
        _il.Emit(OpCodes.Add);
        _il.Emit(OpCodes.Stloc, counter);
        _il.MarkLabel(test);
        _il.Emit(OpCodes.Ldloc, counter);
        if (bound >= 0)
        {
            _il.Emit(OpCodes.Ldloc, bound);
        }
        else
        {
            _il.Emit(OpCodes.Ldc_I4, down ? first : first + (rounds * step));
        }

        _il.Emit(down ? OpCodes.Bgt : _random.Next(2) == 0 ? OpCodes.Blt : OpCodes.Blt_Un, head);
        _il.MarkLabel(end);
    }

    private void Call(MethodInfo method, int depth)
    {
        if (!method.IsStatic)
        {
            _il.Emit(OpCodes.Ldarg_0);
        }

        foreach (var parameter in method.GetParameters())
        {
            if (parameter.ParameterType == typeof(RandomCells).MakeByRefType())
            {
                _il.Emit(OpCodes.Ldloca, Cells);
            }
            else if (parameter.ParameterType == typeof(RandomPair).MakeByRefType())
            {
                _il.Emit(OpCodes.Ldloca, Pairs + _random.Next(PairCount));
            }
            else
            {
                Expression(parameter.ParameterType == typeof(long), depth - 1);
            }
        }

        _il.Emit(OpCodes.Call, method);
    }

    private void Condition(Label otherwise)
    {
        var wide = _random.Next(2) == 0;
        Expression(wide, 2);
        if (_random.Next(4) == 0)
        {
            _il.Emit(_random.Next(2) == 0 ? OpCodes.Brtrue : OpCodes.Brfalse, otherwise);
            return;
        }

        Expression(wide, 1);
        _il.Emit(s_branches[_random.Next(s_branches.Length)], otherwise);
    }

    private void Address(int width)
    {
        if (_random.Next(2) == 0)
        {
            _il.Emit(OpCodes.Ldloc, Pointer);
            _il.Emit(OpCodes.Ldc_I4, _random.Next((PacketSize - width) / width) * width);
        }
        else
        {
            // A variable offset, into memory whose size the verifier knows.
            _il.Emit(OpCodes.Ldarg_0);
            _il.Emit(OpCodes.Ldfld, typeof(RandomProgram).GetField(nameof(RandomProgram.Memory))!);
            _il.Emit(OpCodes.Call, typeof(Global<RandomMemory>).GetProperty("Value")!.GetMethod!);
            Expression(false, 1);
            _il.Emit(OpCodes.Ldc_I4, 0x3f);
            _il.Emit(OpCodes.And);
            _il.Emit(OpCodes.Conv_U);
        }

        _il.Emit(OpCodes.Add);
    }

    private void Expression(bool wide, int depth)
    {
        if (depth == 0)
        {
            Leaf(wide);
            return;
        }

        switch (_random.Next(10))
        {
            case 0:
                Leaf(wide);
                break;
            case 1:
                Expression(wide, depth - 1);
                _il.Emit(_random.Next(2) == 0 ? OpCodes.Neg : OpCodes.Not);
                break;
            case 2:
                Expression(!wide, depth - 1);
                _il.Emit(wide ? _random.Next(2) == 0 ? OpCodes.Conv_I8 : OpCodes.Conv_U8 : _random.Next(2) == 0 ? OpCodes.Conv_I4 : OpCodes.Conv_U4);
                break;
            case 3:
                Expression(wide, depth - 1);
                _il.Emit(new[] { OpCodes.Conv_I1, OpCodes.Conv_U1, OpCodes.Conv_I2, OpCodes.Conv_U2 }[_random.Next(4)]);
                if (wide)
                {
                    _il.Emit(_random.Next(2) == 0 ? OpCodes.Conv_I8 : OpCodes.Conv_U8);
                }

                break;
            case 4:
            {
                var operands = _random.Next(2) == 0;
                Expression(operands, depth - 1);
                Expression(operands, depth - 1);
                _il.Emit(s_compares[_random.Next(s_compares.Length)]);
                if (wide)
                {
                    _il.Emit(OpCodes.Conv_U8);
                }

                break;
            }

            default:
                Binary(wide, depth);
                break;
        }
    }

    private void Binary(bool wide, int depth)
    {
        var code = s_binary[_random.Next(s_binary.Length)];
        Expression(wide, depth - 1);
        if (code == OpCodes.Shl || code == OpCodes.Shr || code == OpCodes.Shr_Un)
        {
            Expression(false, depth - 1);
            _il.Emit(OpCodes.Ldc_I4, wide ? 63 : 31);
            _il.Emit(OpCodes.And);
        }
        else if (code == OpCodes.Div || code == OpCodes.Div_Un || code == OpCodes.Rem || code == OpCodes.Rem_Un)
        {
            // Between 1 and 256: the CLR throws on 0 and on the smallest value by -1.
            Expression(false, depth - 1);
            _il.Emit(OpCodes.Ldc_I4, 255);
            _il.Emit(OpCodes.And);
            _il.Emit(OpCodes.Ldc_I4_1);
            _il.Emit(OpCodes.Add);
            if (wide)
            {
                _il.Emit(OpCodes.Conv_I8);
            }
        }
        else
        {
            Expression(wide, depth - 1);
        }

        _il.Emit(code);
    }

    private void Leaf(bool wide)
    {
        switch (_random.Next(5))
        {
            case 2:
                var fields = s_fields.Where(f => f.FieldType == typeof(long) == wide).ToArray();
                _il.Emit(OpCodes.Ldloca, Pairs + _random.Next(PairCount));
                _il.Emit(OpCodes.Ldfld, fields[_random.Next(fields.Length)]);
                break;
            case 0 when wide:
                _il.Emit(OpCodes.Ldc_I8, Number());
                break;
            case 0:
                _il.Emit(OpCodes.Ldc_I4, (int)Number());
                break;
            case 1:
                if (wide)
                {
                    Address(8);
                    _il.Emit(OpCodes.Ldind_I8);
                }
                else
                {
                    Address(8);
                    _il.Emit(new[] { OpCodes.Ldind_I1, OpCodes.Ldind_U1, OpCodes.Ldind_I2, OpCodes.Ldind_U2, OpCodes.Ldind_I4, OpCodes.Ldind_U4 }[_random.Next(6)]);
                }

                break;
            default:
                _il.Emit(OpCodes.Ldloc, wide ? _random.Next(Longs) : FirstInt + _random.Next(Ints));
                break;
        }
    }

    private long Number() => _random.Next(6) switch
    {
        0 => _random.Next(-4, 5),
        1 => 1L << _random.Next(64),
        2 => (1L << _random.Next(64)) - 1,
        3 => _random.NextInt64(),
        4 => int.MinValue,
        _ => _random.Next(256),
    };
}
