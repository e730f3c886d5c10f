using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Elf;

namespace Skep.KernelTests.Elf;

/// <summary>Relocations of compiled objects against kernels that are made up: modules, several types of one name.</summary>
public sealed class KernelTypeTests
{
    private const string Source = """
        #define SEC(n) __attribute__((section(n), used))
        struct thing { int before, wanted; } __attribute__((preserve_access_index));
        extern int module_function(int) SEC(".ksyms");
        char LICENSE[] SEC("license") = "GPL";
        SEC("tp_btf/kfree_skb") int reads(unsigned long long *ctx) { return ((struct thing *)ctx[0])->wanted; }
        SEC("tp_btf/kfree_skb") int calls(unsigned long long *ctx) { return module_function(1); }
        """;

    private const byte Load32 = OpCodes.ClassLdx | OpCodes.ModeMem | OpCodes.SizeW;

    [Fact]
    public void A_field_is_where_the_kernel_has_it() => Assert.Equal(12, OffsetOfWanted(Kernel(12)));

    [Fact]
    public void Several_types_of_one_name_that_agree_are_one() => Assert.Equal(12, OffsetOfWanted(Kernel(12, 12)));

    [Fact]
    public void Several_types_of_one_name_that_differ_are_an_error_that_names_them()
    {
        var program = Read(Kernel(12, 16)).Programs.Single(p => p.Name == "reads");
        Assert.Contains("several types 'thing'", program.Problem, StringComparison.Ordinal);
        Assert.Contains("field 'wanted' in struct thing", program.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Types_and_functions_of_modules_serve_where_the_kernel_has_none()
    {
        var core = Kernel("other", 4);
        var module = new BtfBuilder(core.Kernel);
        var number = core.Kernel.Find("int", BtfKind.Int)!.Value;
        module.AddStruct("thing", 64, ("wanted", number, 20u * 8));
        var function = module.AddFunction("module_function", module.AddPrototype(number, ("x", number)), global: false);
        var types = new KernelTypes(core.Kernel, [("mymodule", BtfFile.Parse(module.Build(), core.Kernel))]);
        Assert.Equal(20, OffsetOfWanted(types));
        var calls = Read(types).Program("calls");
        var slot = calls.Instructions.ToList().FindIndex(i => i is { Code: OpCodes.CallInstruction, Src: OpCodes.PseudoKfunc });
        Assert.Equal((int)function, calls.Instructions[slot].Immediate);
        Assert.Equal([new Bpf.Programs.ModuleReference(slot, "mymodule")], calls.ModuleReferences);
    }

    [Fact]
    public void Without_types_of_the_kernel_nothing_is_guessed()
    {
        var program = Read(Kernel("other", 4)).Programs.Single(p => p.Name == "calls");
        Assert.Contains("module_function", program.Problem, StringComparison.Ordinal);
    }

    private static ObjectSpec Read(KernelTypes types) => ObjectSpec.Read(Clang.Compile(Source), new ObjectOptions { KernelTypes = types });

    private static int OffsetOfWanted(KernelTypes types) => Read(types).Program("reads").Instructions.Single(i => i.Code == Load32).Offset;

    private static KernelTypes Kernel(params int[] offsets) => Kernel([.. offsets.Select(o => ("thing", o))]);

    private static KernelTypes Kernel(string name, int offset) => Kernel([(name, offset)]);

    private static KernelTypes Kernel((string Name, int Offset)[] structs)
    {
        var builder = new BtfBuilder();
        var number = builder.AddInt("int", 4, true);
        foreach (var (name, offset) in structs)
        {
            builder.AddStruct(name, 64, ("wanted", number, (uint)offset * 8));
        }

        return new KernelTypes(BtfFile.Parse(builder.Build()), []);
    }
}
