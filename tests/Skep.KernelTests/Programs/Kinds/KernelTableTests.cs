using System.Reflection;
using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;

namespace Skep.KernelTests.Programs.Kinds;

/// <summary>What contexts and helpers say of themselves is what this kernel says.</summary>
public class KernelTableTests
{
    public static TheoryData<string> Contexts =>
        [.. typeof(KernelContextAttribute).Assembly.GetTypes().Where(t => t.GetCustomAttribute<KernelContextAttribute>() is { Name.Length: > 0 }).Select(t => t.FullName!)];

    [KernelTheory]
    [MemberData(nameof(Contexts))]
    public void Every_field_of_a_context_is_a_field_of_the_kernels_struct(string context)
    {
        Kernel.Require(BtfFile.Kernel is not null, "the kernel has no BTF");
        var type = typeof(KernelContextAttribute).Assembly.GetType(context)!;
        var name = type.GetCustomAttribute<KernelContextAttribute>()!.Name;
        var leaves = Leaves(BtfFile.Kernel!.Find(name, BtfKind.Struct)!.Value, 0).ToHashSet();
        foreach (var method in type.GetMethods())
        {
            // The words of pt_regs by index are all of them.
            if (method.GetCustomAttribute<ContextFieldAttribute>() is { } field && method.Name != "Word")
            {
                Assert.True(leaves.Contains((field.Offset, field.Size)), $"{name} has no field at {field.Offset} of {field.Size} bytes ({type.Name}.{method.Name})");
            }
        }
    }

    [KernelFact]
    public void A_helper_is_allowed_where_the_table_says_so()
    {
        var wrong = new List<string>();
        foreach (var (helper, method) in Helpers())
        {
            foreach (var kind in ProgramKinds.All.Where(k => k.Program is not null).DistinctBy(k => k.Type))
            {
                if (Says(kind, method) is { } said && Allows(kind, helper) is { } allowed && allowed != said)
                {
                    wrong.Add($"{method.DeclaringType!.Name}.{method.Name} ({helper}) in {kind.Name}: kernel {allowed}");
                }
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    /// <summary>Helpers that some kinds do not have: those that say so, and those of contexts.</summary>
    private static IEnumerable<(int Helper, MethodInfo Method)> Helpers() =>
        from type in typeof(KernelHelperAttribute).Assembly.GetTypes()
        from method in type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
        let helper = method.GetCustomAttribute<KernelHelperAttribute>()
        where helper is not null && (method.GetCustomAttribute<OnlyForAttribute>() is not null || type.GetCustomAttribute<KernelContextAttribute>() is not null)
        where type.Namespace == "Skep.Bpf.Programming"
        select (helper.Id, method);

    private static bool? Says(ProgramKind kind, MethodInfo method)
    {
        if (method.DeclaringType!.GetCustomAttribute<KernelContextAttribute>() is not null && !method.IsStatic
            && !ProgramKinds.All.Any(k => k.Type == kind.Type && k.Context == method.DeclaringType))
        {
            return null;
        }

        return method.GetCustomAttribute<OnlyForAttribute>()?.Types.Contains(kind.Type) ?? (method.IsStatic ? null : true);
    }

    /// <summary>Null when the kernel does not say: it refuses such programs, or the question does not arise.</summary>
    private static bool? Allows(ProgramKind kind, int helper)
    {
        var code = new Assembler().Call(helper).Move(Register.R0, kind.ProbeReturns).Exit().Build("helper", kind.Type);
        var spec = new ProgramSpec
        {
            Name = code.Name, Type = kind.Type, ExpectedAttachType = kind.Sections[0].Attach, AttachTarget = kind.ProbeTarget,
            Flags = kind.Sections[0].Flags, Instructions = code.Instructions,
        };
        try
        {
            ProgramLoader.Load(spec).Dispose();
            return true;
        }
        catch (VerifierException e)
        {
            return !e.Log.Contains("cannot use helper", StringComparison.Ordinal) && !e.Log.Contains("unknown func", StringComparison.Ordinal);
        }
        catch (BpfException)
        {
            return null;
        }
    }

    private static IEnumerable<(int Offset, int Size)> Leaves(uint id, int start)
    {
        var btf = BtfFile.Kernel!;
        foreach (var member in btf.Members(id))
        {
            var type = btf.SkipModifiers(member.Type);
            var offset = start + (member.BitOffset / 8);
            yield return (offset, btf.SizeOf(type));
            if (btf[type].Kind is BtfKind.Struct or BtfKind.Union)
            {
                foreach (var leaf in Leaves(type, offset))
                {
                    yield return leaf;
                }
            }
            else if (btf[type].Kind == BtfKind.Array)
            {
                yield return (offset, 4);
            }
        }
    }
}
