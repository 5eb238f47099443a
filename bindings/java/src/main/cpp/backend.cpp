// What JniBackend.java needs besides the functions: memory, and callbacks into Callbacks.java.
#include <jni.h>
#include <maxstorage.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace {

JavaVM *machine;
jclass callbacks;
jmethodID log_method, wake_method, provide_method, forget_method, reserve_method, release_method;

/// A thread that was made known to Java and takes its leave when it ends.
struct attached {
    ~attached() { machine->DetachCurrentThread(); }
};

/// The environment of this thread, which is made known to Java for as long as it lives.
JNIEnv *environment() {
    JNIEnv *env = nullptr;
    if (machine->GetEnv(reinterpret_cast<void **>(&env), JNI_VERSION_10) == JNI_OK) return env;
    char name[] = "maxstorage";
    JavaVMAttachArgs arguments{JNI_VERSION_10, name, nullptr};
    if (machine->AttachCurrentThreadAsDaemon(reinterpret_cast<void **>(&env), &arguments) != JNI_OK) return nullptr;
    static thread_local attached leave_with_the_thread;
    return env;
}

jbyteArray copy(JNIEnv *env, const void *bytes, size_t length) {
    const jbyteArray array = env->NewByteArray(static_cast<jsize>(length));
    if (array != nullptr) env->SetByteArrayRegion(array, 0, static_cast<jsize>(length), static_cast<const jbyte *>(bytes));
    return array;
}

/// Nothing that Java throws may go on into the library.
void forget_exceptions(JNIEnv *env) {
    if (env->ExceptionCheck()) env->ExceptionClear();
}

void on_log(void *, int32_t level, const char *target, const char *message) {
    JNIEnv *const env = environment();
    if (env == nullptr || env->PushLocalFrame(4) != JNI_OK) return;
    env->CallStaticVoidMethod(callbacks, log_method, static_cast<jint>(level), copy(env, target, std::strlen(target)),
                              copy(env, message, std::strlen(message)));
    forget_exceptions(env);
    env->PopLocalFrame(nullptr);
}

void on_wake(void *context) {
    JNIEnv *const env = environment();
    if (env == nullptr) return;
    env->CallStaticVoidMethod(callbacks, wake_method, static_cast<jlong>(reinterpret_cast<intptr_t>(context)));
    forget_exceptions(env);
}

ms_status on_provide(void *context, ms_credentials *out) {
    JNIEnv *const env = environment();
    if (env == nullptr) return MS_INTERNAL;
    const jint status = env->CallStaticIntMethod(callbacks, provide_method, static_cast<jlong>(reinterpret_cast<intptr_t>(context)),
                                                 static_cast<jlong>(reinterpret_cast<intptr_t>(out)));
    if (!env->ExceptionCheck()) return status;
    env->ExceptionClear();
    return MS_INTERNAL;
}

void on_forget(void *context) {
    JNIEnv *const env = environment();
    if (env == nullptr) return;
    env->CallStaticVoidMethod(callbacks, forget_method, static_cast<jlong>(reinterpret_cast<intptr_t>(context)));
    forget_exceptions(env);
}

bool on_reserve(void *context, size_t bytes) {
    JNIEnv *const env = environment();
    if (env == nullptr) return false;
    const jboolean granted = env->CallStaticBooleanMethod(callbacks, reserve_method, static_cast<jlong>(reinterpret_cast<intptr_t>(context)),
                                                          static_cast<jlong>(bytes));
    if (!env->ExceptionCheck()) return granted == JNI_TRUE;
    env->ExceptionClear();
    return false;
}

void on_release(void *context, size_t bytes) {
    JNIEnv *const env = environment();
    if (env == nullptr) return;
    env->CallStaticVoidMethod(callbacks, release_method, static_cast<jlong>(reinterpret_cast<intptr_t>(context)), static_cast<jlong>(bytes));
    forget_exceptions(env);
}

}  // namespace

extern "C" {

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *) {
    machine = vm;
    JNIEnv *env = nullptr;
    if (vm->GetEnv(reinterpret_cast<void **>(&env), JNI_VERSION_10) != JNI_OK) return JNI_ERR;
    const jclass found = env->FindClass("maxstorage/Callbacks");
    if (found == nullptr) return JNI_ERR;
    callbacks = static_cast<jclass>(env->NewGlobalRef(found));
    log_method = env->GetStaticMethodID(callbacks, "log", "(I[B[B)V");
    wake_method = env->GetStaticMethodID(callbacks, "wake", "(J)V");
    provide_method = env->GetStaticMethodID(callbacks, "provide", "(JJ)I");
    forget_method = env->GetStaticMethodID(callbacks, "forget", "(J)V");
    reserve_method = env->GetStaticMethodID(callbacks, "reserve", "(JJ)Z");
    release_method = env->GetStaticMethodID(callbacks, "release", "(JJ)V");
    for (const jmethodID method : {log_method, wake_method, provide_method, forget_method, reserve_method, release_method})
        if (method == nullptr) return JNI_ERR;
    return JNI_VERSION_10;
}

JNIEXPORT jlong JNICALL Java_maxstorage_JniBackend_address(JNIEnv *env, jobject, jobject direct) {
    return reinterpret_cast<jlong>(env->GetDirectBufferAddress(direct));
}

JNIEXPORT jbyteArray JNICALL Java_maxstorage_JniBackend_bytes(JNIEnv *env, jobject, jlong address, jlong length) {
    return copy(env, reinterpret_cast<const void *>(address), static_cast<size_t>(length));
}

JNIEXPORT jbyteArray JNICALL Java_maxstorage_JniBackend_text(JNIEnv *env, jobject, jlong address) {
    const char *const text = reinterpret_cast<const char *>(address);
    return copy(env, text, std::strlen(text));
}

JNIEXPORT jlong JNICALL Java_maxstorage_JniBackend_logCallback(JNIEnv *, jobject) {
    return reinterpret_cast<jlong>(static_cast<ms_log_callback>(on_log));
}

JNIEXPORT jlong JNICALL Java_maxstorage_JniBackend_wakeCallback(JNIEnv *, jobject) {
    return reinterpret_cast<jlong>(static_cast<ms_wake_callback>(on_wake));
}

JNIEXPORT jlong JNICALL Java_maxstorage_JniBackend_provideCallback(JNIEnv *, jobject) {
    return reinterpret_cast<jlong>(static_cast<ms_credentials_provider>(on_provide));
}

JNIEXPORT jlong JNICALL Java_maxstorage_JniBackend_forgetCallback(JNIEnv *, jobject) {
    return reinterpret_cast<jlong>(static_cast<ms_release_callback>(on_forget));
}

JNIEXPORT jlong JNICALL Java_maxstorage_JniBackend_reserveCallback(JNIEnv *, jobject) {
    return reinterpret_cast<jlong>(static_cast<ms_memory_reserve>(on_reserve));
}

JNIEXPORT jlong JNICALL Java_maxstorage_JniBackend_releaseCallback(JNIEnv *, jobject) {
    return reinterpret_cast<jlong>(static_cast<ms_memory_release>(on_release));
}

}  // extern "C"
