using System.Reflection;
using System.Text;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Frontend;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Compiler;

/// <summary>Compiles a table of functions: each overridden method becomes a program, each property a value.</summary>
public static class StructOpsCompiler
{
    private const BindingFlags Members = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>Compiles <paramref name="table"/>, frozen as it is now, for the kernel of <paramref name="target"/>, which must have BTF.</summary>
    /// <exception cref="CompileException">A method uses what a kernel program cannot, or this kernel's struct lacks a member that the table has.</exception>
    public static StructOpsSpec Compile(StructOps table, CompileTarget target)
    {
        ArgumentNullException.ThrowIfNull(table);
        ArgumentNullException.ThrowIfNull(target);
        var kernel = target.KernelBtf ?? throw new CompileException(
            Rule.KernelField, $"{table.GetType()}: a {table.Struct} needs the kernel's BTF; name it in CompileTarget.KernelBtf", default);
        var type = kernel.Find(table.Struct, BtfKind.Struct) ?? throw new CompileException(
            Rule.KernelField, $"{table.GetType()}: this kernel has no struct {table.Struct}", default);
        var section = ProgramKinds.Match(table.Section)!;
        _ = ProgramGraph.Maps(table);
        var members = kernel.Members(type);
        var programs = new List<StructOpsProgram>();
        var values = new List<StructOpsValue>();
        foreach (var (name, declared) in Declared(table.GetType()))
        {
            var index = members.ToList().FindIndex(m => m.Name == name);
            switch (declared)
            {
                case MethodInfo slot when (MethodInfo)Dispatch.Find(table.GetType(), slot) is var method && method != slot:
                    var passed = index < 0 ? null : Parameters(kernel, members[index].Type);
                    if (passed is null)
                    {
                        throw new CompileException(Rule.KernelField, $"{table.GetType()}.{method.Name}: this kernel's {table.Struct} has no function {name}", default);
                    }

                    var function = new Translator(target, section.Kind, new FunctionTable(target)).TranslateMember(table, method, passed, $"{table.Name}_{name}");
                    var program = ProgramCompiler.Finish(function, table, section, $"{table.Name}_{name}", target, (new KernelTypeId(null, kernel, type), (AttachType)index));
                    programs.Add(new StructOpsProgram(name, program));
                    break;
                case PropertyInfo property when Bytes(property.GetValue(table)) is { Length: > 0 } bytes:
                    values.Add(Value(table, name, bytes, index < 0 ? 0 : kernel.SizeOf(members[index].Type)));
                    break;
            }
        }

        return new StructOpsSpec { Name = table.Name, Struct = table.Struct, Programs = programs, Values = values };
    }

    /// <summary>The marked members of the base classes, those of the furthest first.</summary>
    private static IEnumerable<(string Name, MemberInfo Member)> Declared(Type type)
    {
        var bases = new Stack<Type>();
        for (var t = type; t is not null && t != typeof(StructOps); t = t.BaseType)
        {
            bases.Push(t);
        }

        return bases.SelectMany(static t => t.GetMembers(Members).OrderBy(static m => m.MetadataToken))
            .Select(static m => (Mark: m.GetCustomAttribute<StructOpsMemberAttribute>(false), Member: m))
            .Where(static m => m.Mark is not null)
            .Select(static m => (m.Mark!.Name, m.Member));
    }

    private static IReadOnlyList<(string Name, uint Type)>? Parameters(BtfFile kernel, uint member)
    {
        var pointer = kernel[kernel.SkipModifiers(member)];
        return pointer.Kind == BtfKind.Pointer && kernel[pointer.SizeOrType].Kind == BtfKind.FunctionPrototype ? kernel.Parameters(pointer.SizeOrType) : null;
    }

    private static StructOpsValue Value(StructOps table, string member, byte[] bytes, int size)
    {
        if (bytes.AsSpan().TrimEnd((byte)0).Length > size)
        {
            throw new CompileException(Rule.KernelField, $"{table.GetType()}: the value of {member} takes {bytes.Length} bytes, this kernel's {table.Struct}.{member} has {size}", default);
        }

        return new StructOpsValue(member, bytes[..Math.Min(bytes.Length, size)]);
    }

    /// <summary>A value as the kernel keeps it: text with its NUL, numbers little-endian; nothing for zero.</summary>
    private static byte[] Bytes(object? value) => value switch
    {
        null => [],
        string text => [.. Encoding.UTF8.GetBytes(text), 0],
        _ => Convert.ToUInt64(value, System.Globalization.CultureInfo.InvariantCulture) is var number and not 0 ? BitConverter.GetBytes(number) : [],
    };
}
